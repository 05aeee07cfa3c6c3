"""`finery push`: a package, verified first, to a hub or a registry of containers."""

import re
from collections.abc import Callable
from pathlib import Path

from finery.packaging.errors import PackageError
from finery.packaging.push.errors import PushError
from finery.packaging.push.hf import push_to_hf
from finery.packaging.push.modelscope import push_to_modelscope
from finery.packaging.push.oci import push_to_registry
from finery.packaging.verify import verify

NAME = r"[A-Za-z0-9][\w.-]*"
TARGETS: dict[str, tuple[str, Callable[[Path, str, bool], str]]] = {
    "hf:": (rf"{NAME}/{NAME}", push_to_hf),
    "modelscope:": (rf"{NAME}/{NAME}", push_to_modelscope),
    "oci://": (r"[^/\s@]+(/[a-z0-9]+([._-]+[a-z0-9]+)*)+:[\w][\w.-]{0,127}", push_to_registry),
}
FORMS = "hf:ORG/NAME, modelscope:ORG/NAME or oci://HOST/NAME:TAG"


def push(package: Path, target: str, public: bool = False) -> str:
    """Upload a package that verifies to `target`, one of `FORMS`; say where it is then.

    A repository that is made for it is private unless it is to be `public`. What an earlier push
    has uploaded is not uploaded again. Raises `PushError` and `PackageError`.
    """
    scheme = next((scheme for scheme in TARGETS if target.startswith(scheme)), "")
    form, upload = TARGETS.get(scheme, ("", None))
    name = target.removeprefix(scheme)
    if upload is None or not re.fullmatch(form, name):
        raise PushError(f"{target}: no place to push to; say {FORMS}")
    if problems := verify(package):
        raise PackageError(f"{package}: {problems[0]}; nothing was pushed")
    return upload(package, name, public)
