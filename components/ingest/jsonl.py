"""JSON Lines, one sequence a line.

    {"sequence_id": "a1", "entity_id": "b", "features": {"ax": [0.1, null], ...}, "label": "x"}

`sequence_id` defaults to file:line, `entity_id` to the sequence's own id. A null inside a list is a
missing value where the schema allows one. `length` may be stated and is then checked. Context
columns stand beside `features`. Keys that the schema does not name are not read.
"""

import json
from typing import Any

from components.ingest import checks
from components.ingest.checks import Reject
from components.sequence import ENTITY_ID, LENGTH, SEQUENCE_ID, Columns, Sequence


def parse(text: bytes, columns: Columns, default_id: str) -> Sequence:
    """One line -> one sequence.

    Raises:
      Reject: the line is not one; the code and the detail say why.
    """
    record = _decode(text)
    features = record.get("features")
    if features is None:
        code = "null" if "features" in record else "missing_column"
        raise Reject(code, "expected 'features', an object of lists")
    if not isinstance(features, dict):
        raise Reject("type", "'features': expected an object of lists")
    checks.check_nulls(columns, features)
    sequence = checks.assemble(
        columns=columns,
        features={
            name: checks.numbers_of(name, features[name])
            for name in columns.names
            if name in features
        },
        sequence_id=checks.identifier(SEQUENCE_ID, record.get(SEQUENCE_ID)) or default_id,
        entity_id=checks.identifier(ENTITY_ID, record.get(ENTITY_ID)),
        context=checks.context_of(columns, record),
    )
    checks.check_length(record.get(LENGTH), sequence.length)
    return sequence


def _decode(text: bytes) -> dict[str, Any]:
    try:
        record = json.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Reject("encoding", f"expected UTF-8: {error.reason} at byte {error.start}") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise Reject("json", f"expected a JSON object: {error}") from error
    except ValueError as error:  # An integer of more digits than Python converts.
        raise Reject("number_format", str(error)) from error
    if not isinstance(record, dict):
        raise Reject("json", f"expected a JSON object, received {type(record).__name__}")
    return record
