"""The key that a person signs packages with: made on first use, outside of every project."""

import os
from pathlib import Path

PRIVATE, PUBLIC = "signing-key.pem", "signing-key.pub.pem"


def keys() -> tuple[Path, Path]:
    """Where the private and the public key are: in the user's configuration folder."""
    configuration = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return configuration / "finery" / PRIVATE, configuration / "finery" / PUBLIC


def own_keys() -> tuple[Path, Path]:
    """The private and the public key, which are made if there are none yet."""
    private, public = keys()
    if not private.exists():
        _make(private, public)
    return private, public


def _make(private: Path, public: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private.parent.mkdir(parents=True, exist_ok=True)
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    public.write_bytes(
        key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    # never readable by others, not even for a moment; and whoever is second keeps the first's
    descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
