"""Signatures of packages, by OpenSSF's model signing: https://github.com/sigstore/model-transparency.

A signature is a file beside the package, FOLDER.sig, a Sigstore bundle over the hash of every file,
the manifest's too. It is no output of the pipeline: each signing gives other bytes. Anyone may
check it with the same library: `model_signing verify key FOLDER --signature FOLDER.sig
--public_key KEY`. The private key is the signer's own: a file outside of every project.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from finery.packaging.errors import PackageError
from finery.packaging.keys import keys
from finery.packaging.manifest import MANIFEST, entry, read_manifest

SUFFIX = ".sig"
SERIALIZATION = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}


def signature_of(package: Path) -> Path:
    """Where the signature of a package is, unless it is said otherwise."""
    folder = Path(os.path.abspath(package))
    return folder.with_name(folder.name + SUFFIX)


def sign(package: Path, private_key: Path) -> Path:
    """Sign a package that `verify` finds nothing wrong with; returns the signature's file.

    Raises `PackageError` if the key is no key that can sign.
    """
    from model_signing import signing

    signature = signature_of(package)
    with _usable(private_key):
        signer = signing.Config().use_elliptic_key_signer(private_key=private_key)
    signer.set_hashing_config(_as_listed(package)).sign(package, signature)
    return signature


def signed(package: Path, signature: Path | None, key: Path | None) -> tuple[str, str | None]:
    """Who vouches for a package that `verify` finds nothing wrong with, and what is wrong there.

    Whoever names a signature or a key wants it to be signed. Otherwise one may be lacking, and
    your own key is taken; or none, if you have no key.
    """
    file = signature or signature_of(package)
    if not file.exists():
        return "not signed", f"{file}: missing" if signature or key else None
    public_key = key or keys()[1]
    if not key and not public_key.exists():
        return f"signed, but by whom was not checked: --key is the signer's ({file})", None
    problem = problem_of(file, package, public_key)
    if not problem:
        return f"signed by {public_key}", None
    hint = "" if key else "; --key is the key of whoever signed it"
    return "", f"{file}: {problem}{hint}"


def problem_of(signature: Path, package: Path, public_key: Path) -> str | None:
    """Why a signature does not vouch for a package that `verify` finds nothing wrong with.

    The files are not read again. Raises `PackageError` if `public_key` is no public key.
    """
    from cryptography.exceptions import InvalidSignature
    from model_signing import verifying

    with _usable(public_key):
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    try:
        with redirect_stdout(StringIO()):  # it prints a warning of older signatures
            verifier.set_hashing_config(_as_listed(package)).verify(package, signature)
    except InvalidSignature:
        return "changed since it was made"
    except Exception as error:  # whatever a file that is no signature leads to
        said = str(error)
        if said.startswith("Key mismatch"):
            return f"made by another key than {public_key}"
        if said.startswith("Signature mismatch"):
            return "made for other files"
        return f"no signature ({type(error).__name__})"
    return None


@contextmanager
def _usable(key: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PackageError(f"{key}: {error.strerror}; give a key file in PEM format") from None
    except (ValueError, TypeError, AttributeError):  # damaged, of another kind, or locked
        raise PackageError(
            f"{key}: not a key that can be used; it takes an elliptic one of P-256, P-384 or P-521"
            " in PEM format, without a password: a private key to sign, a public one to verify"
        ) from None


def _as_listed(package: Path) -> Any:
    """What model signing hashes a package for, of which the manifest has all hashes but its own."""
    from model_signing import hashing, manifest

    class Known(hashing.Config):
        def hash(self, model_path: Any, *, files_to_hash: Any = None) -> manifest.Manifest:
            kind = manifest.SerializationType.from_args(SERIALIZATION)
            digest = manifest.hashing.Digest
            files = [*read_manifest(package).files, entry(package, MANIFEST)]
            items = [
                kind.new_item(file.path, digest("sha256", bytes.fromhex(file.sha256)))
                for file in files
            ]
            return manifest.Manifest(Path(model_path).name, items, kind)

    return Known()
