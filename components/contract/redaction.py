"""Secrets are masked in all that is kept or shown: passwords, tokens and keys, and URIs with them.

What is masked, by its place alone, since no list knows everybody's secrets:

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
        rf"(\\*[\"']--{_NAME}=)[^\"'\n]+",  # In quotes, it goes to the closing one.
        rf"(\A--{_NAME}=)[\s\S]+",
        rf"(--{_NAME}[= ])[^\s\"',]+",
        rf"(\\*[\"']{_NAME}\\*[\"']\s*[:=]\s*\\*[\"'])[^\"'\\]+",
        r"(\b[a-z][a-z0-9+.-]*://)[^\s/@\"'?#]+(?=@)",
    )
)
_URI = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"']+", re.IGNORECASE)
_QUERY = re.compile(rf"([?&](?:{_NAME}|[\w-]*signature|sig|key|code|auth)=)[^&#]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """Returns a text with its secrets masked; once masked, it stays as it is."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{MASK}", text)
    return _URI.sub(lambda uri: _QUERY.sub(rf"\1{MASK}", uri.group()), text)


def redacted_data(value: Any) -> Any:
    """Returns plain data, as JSON and TOML have it, with the secrets in its texts masked."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {key: redacted_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_data(item) for item in value]
    return value
