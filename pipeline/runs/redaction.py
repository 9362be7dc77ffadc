"""Mask secrets in all that is kept or shown: passwords, tokens and keys, also in URIs.

A secret is recognised by its place alone, since no list knows everybody's secrets:

- `--NAME=value`, and `"NAME": "value"` as JSON has it, where NAME speaks of a secret, as
  `--azure_token=`, `--s3_secret_access_key=` and `"AWS_SESSION_TOKEN"` do;
- `user:password@` before the host of a URI;
- `name=value` in the query of a URI, where the name speaks of one: `?sig=`, `X-Amz-Signature=`.
"""

import re
from typing import Any

MASK = "***"
_NAME = (
    r"[\w.-]*(?:secret|token|passw|passphrase|pwd|credential|authorization"
    r"|(?:api|access|account|private)[_-]?key)[\w.-]*"
)
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(\\*[\"']--{_NAME}=)[^\"'\n]+",  # A value in quotes ends at the closing quote.
        rf"(\A--{_NAME}=)[\s\S]+",
        rf"(--{_NAME}[= ])[^\s\"',]+",
        rf"(\\*[\"']{_NAME}\\*[\"']\s*[:=]\s*\\*[\"'])[^\"'\\]+",
        r"(\b[a-z][a-z0-9+.-]*://)[^\s/@\"'?#]+(?=@)",
    )
)
_URI = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"']+", re.IGNORECASE)
_QUERY = re.compile(rf"([?&](?:{_NAME}|[\w-]*signature|sig|key|code|auth)=)[^&#]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """Return a text with its secrets masked; masking it twice changes nothing."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{MASK}", text)
    return _URI.sub(lambda uri: _QUERY.sub(rf"\1{MASK}", uri.group()), text)


def redacted_data(value: Any) -> Any:
    """Return plain data, as JSON and TOML have it, with the secrets in its texts masked."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {key: redacted_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_data(item) for item in value]
    return value
