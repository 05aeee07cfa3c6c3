"""To Hugging Face's hub, by its own library, with the token of HF_TOKEN or of `hf auth login`."""

import logging
from pathlib import Path

from finery.packaging.push.errors import PushError


def push_to_hf(package: Path, name: str, public: bool) -> str:
    """Upload the files that the hub lacks, in one commit; the page of the model.

    Raises `PushError`.
    """
    import httpx2
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError
    from huggingface_hub.utils import disable_progress_bars

    api, hub = HfApi(), constants.ENDPOINT
    disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries
    try:
        api.create_repo(name, private=None if public else True, exist_ok=True)
        api.upload_folder(folder_path=package, repo_id=name, commit_message="Pushed by finery")
    except LocalTokenNotFoundError:
        message = f"{hub} asks who you are; set HF_TOKEN to a token that may write"
    except (HfHubHTTPError, RuntimeError) as error:  # the second around what an upload met
        told = error if isinstance(error, HfHubHTTPError) else error.__cause__
        if not isinstance(told, HfHubHTTPError):
            raise
        message = _answered(told.response.status_code, hub)
    except (httpx2.TransportError, ConnectionError) as error:
        message = f"{hub} cannot be reached ({type(error).__name__}); run again, it goes on"
    else:
        return f"{hub}/{name}"
    raise PushError(f"hf:{name}: {message}")


def _answered(status: int, hub: str) -> str:
    if status in (401, 403):
        return f"{hub} refuses to be written to ({status}); set HF_TOKEN to a token that may write"
    if status == 404:
        return f"{hub} has no such organization, or you may not write to it; check the name"
    return f"{hub} answers with status {status}; run again later, it goes on"
