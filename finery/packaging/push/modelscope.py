"""To ModelScope, by its own library, with the token of MODELSCOPE_API_TOKEN or of its login."""

import logging
from contextlib import suppress
from pathlib import Path

from finery.hubs.errors import modelscope_in_one_line
from finery.packaging.push.errors import PushError


def push_to_modelscope(package: Path, name: str, public: bool) -> str:
    """Upload the files that the hub lacks; the page of the model. Raises `PushError`.

    The library's own record of what was uploaded would lie in the package: the hub is asked.
    """
    from modelscope_hub import HubApi, HubConfig
    from modelscope_hub.errors import AlreadyExistsError

    logging.getLogger("modelscope_hub").setLevel(logging.CRITICAL)  # its retries, by the page
    with modelscope_in_one_line(f"modelscope:{name}", PushError):
        api = HubApi()
        with suppress(AlreadyExistsError):
            api.create_repo(name, "model", visibility="public" if public else "private")
        api.upload_folder(
            name,
            "model",
            package,
            commit_message="Pushed by finery",
            use_cache=False,
            disable_tqdm=True,
        )
    return f"{HubConfig().endpoint}/models/{name}"
