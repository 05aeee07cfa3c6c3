"""A checkout is made, brought to any commit, and never costs anybody's work."""

import subprocess
from pathlib import Path

import pytest
from dvc.config import Config

from finery.pipeline.checkout import CheckoutError, clean_checkout


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A project of two commits, with a DVC remote beside it and the credentials of another."""
    folder = tmp_path / "project"
    folder.mkdir()
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    run(folder, "git", "config", "user.name", "Tester")
    run(folder, "git", "config", "user.email", "tester@example.org")
    (folder / ".gitignore").write_text(".finery/\n")
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text(
        "[core]\n    remote = near\n['remote \"near\"']\n    url = ../../near\n"
    )
    for text in ("first", "second"):
        (folder / "file").write_text(text)
        run(folder, "git", "add", ".")
        run(folder, "git", "commit", "--quiet", "-m", text)
    (folder / ".dvc/config.local").write_text(
        "['remote \"far\"']\n    url = s3://far\n    secret_access_key = x\n"
    )
    return folder


def test_a_checkout_is_brought_from_commit_to_commit(source: Path, tmp_path: Path) -> None:
    folder = clean_checkout(str(source), "main", tmp_path / "checkout")
    assert (folder / "file").read_text() == "second"
    (folder / ".finery").mkdir()
    (folder / ".finery/checkpoint").write_text("kept")
    (folder / "file").write_text("edited")
    (folder / "new").write_text("not in git")

    first = run(source, "git", "rev-parse", "main~1")
    assert clean_checkout(str(source), first, folder) == folder
    assert (folder / "file").read_text() == "first"
    assert not (folder / "new").exists()
    assert (folder / ".finery/checkpoint").read_text() == "kept"
    assert run(folder, "git", "status", "--short") == ""


def test_commits_that_no_branch_has_are_found(source: Path, tmp_path: Path) -> None:
    clean_checkout(str(source), "main", tmp_path / "checkout")
    run(source, "git", "checkout", "--quiet", "--detach")
    run(source, "git", "commit", "--quiet", "--allow-empty", "-m", "third")
    third = run(source, "git", "rev-parse", "HEAD")
    folder = clean_checkout(str(source), third, tmp_path / "checkout")
    assert run(folder, "git", "rev-parse", "HEAD") == third


def test_a_branch_means_where_it_is_now(source: Path, tmp_path: Path) -> None:
    clean_checkout(str(source), "main", tmp_path / "checkout")
    run(source, "git", "commit", "--quiet", "--allow-empty", "-m", "third")
    folder = clean_checkout(str(source), "main", tmp_path / "checkout")
    assert run(folder, "git", "rev-parse", "HEAD") == run(source, "git", "rev-parse", "main")


def test_remotes_author_and_cache_are_carried_along(source: Path, tmp_path: Path) -> None:
    folder = clean_checkout(str(source), "main", tmp_path / "a/b/checkout", tmp_path / "cache")
    config = Config(str(folder / ".dvc"))
    assert Path(config["remote"]["near"]["url"]) == tmp_path / "near"
    assert config["remote"]["far"]["secret_access_key"] == "x"
    assert Path(config["cache"]["dir"]) == tmp_path / "cache"
    assert run(folder, "git", "config", "user.email") == "tester@example.org"
    assert run(folder, "git", "status", "--short") == ""


def test_what_a_kill_leaves_is_healed(source: Path, tmp_path: Path) -> None:
    folder = clean_checkout(str(source), "main", tmp_path / "checkout")
    (folder / ".git/index.lock").touch()
    assert (clean_checkout(str(source), "main", folder) / "file").read_text() == "second"
    for written in filter(Path.is_file, (folder / ".git/objects").rglob("*")):
        written.unlink()
        written.touch()
    assert (clean_checkout(str(source), "main", folder) / "file").read_text() == "second"


@pytest.mark.parametrize(
    ("repo", "commit", "says"),
    [
        ("nowhere", "main", "does not appear to be a git repository"),
        ("project", "v9", "no commit v9"),
        ("http://127.0.0.1:9/x.git", "main", "http://127.0.0.1:9/x.git: cannot be cloned"),
    ],
)
def test_what_cannot_be_had_is_one_line(
    source: Path, tmp_path: Path, repo: str, commit: str, says: str
) -> None:
    address = repo if "://" in repo else str(tmp_path / repo)
    with pytest.raises(CheckoutError) as error:
        clean_checkout(address, commit, tmp_path / "checkout")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_somebody_elses_folder_is_left_alone(source: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/todo").write_text("keep")
    (source / "file").write_text("edited")
    for folder in ("notes", "project"):
        with pytest.raises(CheckoutError):
            clean_checkout(str(source), "main", tmp_path / folder)
    assert (tmp_path / "notes/todo").read_text() == "keep"
    assert (source / "file").read_text() == "edited"


def test_a_clone_whose_branch_is_damaged_is_left_alone(source: Path, tmp_path: Path) -> None:
    run(tmp_path, "git", "clone", "--quiet", str(source), "clone")
    (tmp_path / "clone/file").write_text("edited")
    (tmp_path / "clone/.git/refs/heads/main").write_text("garbage")
    with pytest.raises(CheckoutError, match="somebody's own clone"):
        clean_checkout(str(source), "main", tmp_path / "clone")
    assert (tmp_path / "clone/file").read_text() == "edited"


def test_one_that_had_only_just_begun_goes_on(source: Path, tmp_path: Path) -> None:
    run(tmp_path, "git", "init", "--quiet", "checkout")
    assert (clean_checkout(str(source), "main", tmp_path / "checkout") / "file").exists()


def test_a_source_of_another_user_is_gits_refusal_with_the_remedy(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(CheckoutError) as error:
        clean_checkout(str(source), "main", tmp_path / "checkout")
    assert "dubious ownership" in str(error.value)
    assert str(error.value).endswith(f"git config --global --add safe.directory {source}/.git")


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
