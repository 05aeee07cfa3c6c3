"""A package that was released once verifies for ever: one of each form that there was.

Form 1 had a manifest and a card; form 2 has a bill of materials, an attestation and a signature.
A new form is a new folder; these are never made again.
"""

from pathlib import Path

import pytest

from finery.packaging.signing import signed
from finery.packaging.verify import verify

RELEASED = Path(__file__).parent / "released"
FORMS = sorted(folder.name for folder in RELEASED.iterdir())


@pytest.mark.parametrize("form", FORMS)
def test_it_verifies(form: str):
    assert FORMS[:2] == ["1", "2"]
    assert verify(RELEASED / form / "boat") == []


@pytest.mark.parametrize("form", FORMS[1:])
def test_its_signature_verifies(form: str):
    key = RELEASED / form / "key.pub.pem"
    assert signed(RELEASED / form / "boat", None, key) == (f"signed by {key}", None)
