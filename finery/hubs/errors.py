"""The errors of the hubs' clients, each as one line that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finery.errors import UserError

MIRROR = "HF_ENDPOINT=https://hf-mirror.com"


@contextmanager
def hf_in_one_line(
    repo: str, revision: str, revisions: Path, error_type: type[UserError], kind: str = ""
) -> Iterator[None]:
    """Turn what huggingface_hub raises about a repository into an `error_type`.

    `kind` comes before a repository's name in its address: "datasets/", or "" for models.
    """
    import httpx2
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    hub, source = constants.ENDPOINT, f"hf:{repo}"
    page = f"{hub}/{kind}{repo}"
    try:
        yield
    except GatedRepoError:
        message = f"gated; accept its terms at {page} and set HF_TOKEN to your access token"
    except RepositoryNotFoundError:
        message = f"not found at {hub}, or private; check the name, or set HF_TOKEN if it needs one"
    except RevisionNotFoundError:
        message = (
            f"has no revision {revision} at {hub}; choose another, or remove its line from"
            f" {revisions} if it was there once"
        )
    except HfHubHTTPError as error:
        message = _answered(error.response.status_code, hub)
    except HFValidationError:
        message = "not a repository's name; write hf:ORG/NAME"
    except (OfflineModeIsEnabled, LocalEntryNotFoundError, httpx2.TransportError) as error:
        if constants.is_offline_mode():
            message = "not whole in the cache, and HF_HUB_OFFLINE is set; unset it to download"
        else:
            message = _unreachable(hub, error)
    except OSError as error:
        if "Consistency check failed" not in str(error):
            raise
        message = "a file came with the wrong size; run again to fetch it anew"
    else:
        return
    raise error_type(f"{source}: {message}")


@contextmanager
def modelscope_in_one_line(key: str, error_type: type[UserError]) -> Iterator[None]:
    """Turn what modelscope_hub raises about the repository `key` into an `error_type`."""
    from modelscope_hub import HubConfig
    from modelscope_hub.errors import (
        AuthenticationError,
        FileDownloadError,
        HubError,
        NetworkError,
        NotExistError,
        PermissionDeniedError,
    )

    hub = HubConfig().endpoint
    try:
        yield
    except NotExistError:
        message = f"not found at {hub}, or private; check the name, or set MODELSCOPE_API_TOKEN"
    except (AuthenticationError, PermissionDeniedError):
        message = f"{hub} refuses access; set MODELSCOPE_API_TOKEN to a token that may read it"
    except NetworkError:
        message = f"{hub} cannot be reached; check the network, or set MODELSCOPE_ENDPOINT"
    except FileDownloadError as error:
        failed = ", ".join(sorted(error.failed_files))
        message = f"could not fetch {failed}; run again, files that are whole are kept"
    except HubError as error:
        message = f"{error.message.splitlines()[0]}; {error.suggestion}"
    else:
        return
    raise error_type(f"{key}: {message}")


def _answered(status: int, hub: str) -> str:
    if status in (401, 403):
        return f"{hub} refuses access ({status}); set HF_TOKEN to a token that may read it"
    if status == 404:
        return f"{hub} lacks one of its files; run again, or choose another revision"
    return f"{hub} answers with status {status}; run again later, or set {MIRROR}"


def _unreachable(hub: str, error: Exception) -> str:
    cause = next(iter(str(error.__cause__ or error).splitlines()), type(error).__name__)
    return (
        f"{hub} cannot be reached ({cause}); check the network, or set {MIRROR}, and run again:"
        " files that are whole are kept"
    )
