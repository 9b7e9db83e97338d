"""Keys to sign with, made once for all tests."""

import json as plain_json
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey, RSAKey

KEY = ECKey.generate_key("P-384")
RSA = RSAKey.generate_key(2048)


def write_key(folder: Path, key: ECKey | RSAKey = KEY, **more: Any) -> Path:
    """A file of a private JWK."""
    file = folder / "key.json"
    file.write_text(plain_json.dumps({**key.as_dict(private=True), "kid": "key-1", **more}))
    return file
