"""A signature vouches for every byte of a package, by a key that stays with its owner."""

import json
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from model_signing import hashing, verifying
from typer.testing import CliRunner

from finery.cli import app
from finery.packaging.keys import keys, own_keys
from finery.packaging.manifest import MANIFEST, write_manifest
from finery.packaging.signing import sign, signature_of, signed
from tests.finery.packaging.made import GIT, LINEAGE, METRICS, make_package


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return make_package(tmp_path / "boat")


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    return result.exit_code, result.output.strip()


def another_key(folder: Path, key: object = None) -> tuple[Path, Path]:
    """A private and a public key of someone else."""
    key = key or ec.generate_private_key(ec.SECP384R1())
    pem, format = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    private, public = folder / "other.pem", folder / "other.pub"
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    public.write_bytes(key.public_key().public_bytes(pem, format))
    return private, public


def test_the_first_use_makes_a_key_that_only_its_owner_reads(package: Path, home: Path):
    assert run("verify", package)[1].endswith("; not signed") and not home.exists()
    status, said = run("sign", package)
    private, public = keys()
    assert status == 0 and said == (
        f"{package}.sig: signed by {private}; others verify it with {public}"
    )
    assert private.parent == home / "finery"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    before = private.read_bytes()
    assert run("sign", package)[0] == 0 and private.read_bytes() == before
    assert run("verify", package) == (
        0, f"{package}: 5 files match MANIFEST.json (commit cccccccc); signed by {public}",
    )  # fmt: skip


def test_the_stock_tool_verifies_it(package: Path):
    sign(package, own_keys()[0])
    stock = verifying.Config().use_elliptic_key_verifier(public_key=own_keys()[1])
    everything = hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False)
    stock.set_hashing_config(everything).verify(package, signature_of(package))
    (package / ".git").mkdir()
    (package / ".git/evil").write_text("")
    with pytest.raises(ValueError, match=r"Extra files .*\.git/evil"):
        stock.verify(package, signature_of(package))


def test_no_byte_of_any_file_can_change(package: Path):
    sign(package, own_keys()[0])
    for file in sorted(package.iterdir()):
        whole = file.read_bytes()
        for place in {0, len(whole) // 2, len(whole) - 1}:
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            status, said = run("verify", package)
            assert status in (1, 2) and file.name in said, (file.name, place)
        file.unlink()
        assert run("verify", package)[0] in (1, 2)
        file.write_bytes(whole)
    assert run("verify", package)[0] == 0


@pytest.mark.parametrize("added", [".git/evil", ".gitignore", "boat.sig", ".hidden", "sub/x.py"])
def test_no_file_can_be_added(package: Path, added: str):
    sign(package, own_keys()[0])
    (package / added).parent.mkdir(exist_ok=True)
    (package / added).write_text("")
    assert run("verify", package)[0] == 1


def test_a_manifest_that_was_written_anew(package: Path):
    """It matches all of the files, and is not the one that was signed."""
    sign(package, own_keys()[0])
    settings = json.loads((package / MANIFEST).read_text())["params"]
    (package / "config.json").write_text('{"a": 1}')
    for name in ("provenance.json", "bom.cdx.json"):
        (package / name).unlink()
    write_manifest(
        package, name="boat", chat_template_sha256="0" * 64, git=GIT, gate={"passed": True},
        metrics=METRICS, params=settings, lineage=LINEAGE,
    )  # fmt: skip
    assert run("verify", package) == (
        1,
        f"{package}: {package}.sig: made for other files; --key is the key of whoever signed it\n"
        f"{package}: 1 wrong; fetch or package it again",
    )


def test_somebody_else_signed_it(package: Path, tmp_path: Path):
    private, public = another_key(tmp_path)
    assert run("sign", package, "--key", private) == (0, f"{package}.sig: signed by {private}")
    status, said = run("verify", package)
    assert status == 0 and said.endswith(
        f"; signed, but by whom was not checked: --key is the signer's ({package}.sig)"
    )
    own_keys()
    status, said = run("verify", package)
    assert status == 1 and f"{package}.sig: made by another key than {keys()[1]}" in said
    assert run("verify", package, "--key", public)[0] == 0
    hint = json.loads(signature_of(package).read_text())
    del hint["verificationMaterial"]["publicKey"]["hint"]  # it is only a hint
    signature_of(package).write_text(json.dumps(hint))
    assert (
        f"{package}.sig: changed since it was made" in run("verify", package, "--key", keys()[1])[1]
    )
    assert run("verify", package, "--key", public)[0] == 0


def test_a_signature_that_is_asked_for_must_be_there(package: Path, tmp_path: Path):
    missing = tmp_path / "boat.sig"
    assert signed(package, None, own_keys()[1]) == ("not signed", f"{missing}: missing")
    status, said = run("verify", package, "--signature", tmp_path / "none.sig")
    assert status == 1 and f"{tmp_path / 'none.sig'}: missing" in said


@pytest.mark.parametrize("text", ["", "{}", "[]", "no JSON", '{"verificationMaterial": {}}'])
def test_a_file_that_is_no_signature(package: Path, text: str):
    own_keys()
    signature_of(package).write_text(text)
    status, said = run("verify", package)
    assert status == 1 and f"{package}.sig: no signature" in said and len(said.splitlines()) == 2


def test_a_key_that_is_none(package: Path, tmp_path: Path):
    (tmp_path / "bad.pem").write_text("no key")
    private, public = another_key(tmp_path, ed25519.Ed25519PrivateKey.generate())
    for key in (tmp_path / "none.pem", tmp_path / "bad.pem", public, private):
        status, said = run("sign", package, "--key", key)
        assert status == 2 and said.startswith(f"{key}: ") and len(said.splitlines()) == 1
    sign(package, own_keys()[0])
    for key in (tmp_path / "none.pem", tmp_path / "bad.pem", own_keys()[0], public):
        status, said = run("verify", package, "--key", key)
        assert status == 2 and said.startswith(f"{key}: ") and len(said.splitlines()) == 1


def test_a_package_that_is_wrong_is_not_signed(package: Path):
    (package / "config.json").write_text("")
    status, said = run("sign", package)
    assert (
        status == 1
        and said == f"{package}: config.json: changed: 0 bytes, not 2 (1 wrong); not signed"
    )
    assert not signature_of(package).exists()


def test_a_folder_may_be_renamed_and_given_with_a_slash(package: Path, tmp_path: Path):
    sign(package, own_keys()[0])
    os.rename(package, tmp_path / "ship")
    os.rename(tmp_path / "boat.sig", tmp_path / "ship.sig")
    assert run("verify", f"{tmp_path / 'ship'}/")[1].endswith(f"signed by {keys()[1]}")
