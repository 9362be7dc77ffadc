"""State what decides the stages' results beside the configuration, without importing TFX."""

import dataclasses
import pathlib

from ragline.components.evaluate.verdict.baseline_model import BaselineModel
from ragline.components.files.storage import digest_of
from ragline.pipeline.config import Config, Contract, to_dict

# Where a run works and what is kept of earlier ones: neither changes what a stage makes.
_DECIDE_NOTHING = ("workdir", "keep")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """States what decides the stages' results beside the configuration, when the run began.

    Attributes:
      contract: the schema and the verdict's rules.
      schema_file: copy of the schema, as the stage is given it; its path must change when its
        content does, since TFX's cache sees the path alone.
      source: digest of ragline's source; a parameter of every stage of ours, for the cache.
      input_fingerprint: digest of the raw files' content.
      baseline_model: newest blessed model, which a candidate is compared with; None without one.
      serving_state: digest of what is served, which decides whether the push is cached.
      force_bless_reason: reason to bless the candidate in any case; empty not to.
      new_signature: sentence on a signature that differs from the served one; empty if none does.
    """

    contract: Contract
    schema_file: pathlib.Path
    source: str
    input_fingerprint: str
    baseline_model: BaselineModel | None
    serving_state: str
    force_bless_reason: str
    new_signature: str

    def key(self, config: Config, versions: str) -> str:
        """Digest all that decides the stages' results.

        Args:
          config: the configuration of the run.
          versions: versions of what our code imports.
        """
        options = to_dict(config)
        deciding = {name: options[name] for name in options if name not in _DECIDE_NOTHING}
        facts = [repr(getattr(self, field.name)) for field in dataclasses.fields(self)]
        return digest_of([repr(deciding), versions, *facts])
