"""Other ways to save a workspace, each with the same five verbs, and what they take on disk."""

import json
import os
import pathlib
import shutil
import subprocess


class Saver:
    """Saves one workspace into a directory of its own."""

    name = ""

    def __init__(self, workspace, into):
        self.workspace, self.dir = workspace, into
        self.saved = []
        into.mkdir(parents=True)

    def prepare(self):
        """Does what is done once, before the first save, and is not timed."""

    def save(self):
        raise NotImplementedError

    def diff(self):
        """Shows how the last two differ; returns whether it can."""
        return False

    def restore_here(self):
        """Makes the workspace what was saved last; returns whether it can."""
        return False

    def restore_to(self, target):
        """Writes what was saved last into a new directory; returns whether it can."""
        return False

    def bytes(self):
        return disk(self.dir)

    def run(self, *argv, env=None, stdin=None):
        done = subprocess.run(
            [str(it) for it in argv], cwd=self.workspace, env={**clean(), **(env or {})},
            input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{argv}: {done.stderr.decode(errors='replace')[-500:]}")
        return done.stdout


def clean():
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_AUTHOR_NAME": "bench", "GIT_AUTHOR_EMAIL": "bench@localhost",
            "GIT_COMMITTER_NAME": "bench", "GIT_COMMITTER_EMAIL": "bench@localhost"}


def disk(*directories):
    """Returns what is below directories in bytes: a file with many names once, and not at all if
    it has one elsewhere too, for then it would be there anyway."""
    found = {}
    for directory in directories:
        for base, _, files in os.walk(directory):
            for name in files:
                try:
                    about = os.lstat(os.path.join(base, name))
                except FileNotFoundError:
                    continue
                have = found.setdefault((about.st_dev, about.st_ino), [0, about])
                have[0] += 1
    return sum(it.st_blocks * 512 for names, it in found.values() if it.st_nlink <= names)


class Tar(Saver):
    """A whole archive every time. The repository is left out of it, which is in its favour."""

    name = "tar --zstd"
    total = 0

    def save(self):
        path = self.dir / f"{len(self.saved)}.tar.zst"
        self.run("tar", "--zstd", "--exclude=./.git", "-cf", path, ".")
        # All of them would be kept; one is enough to restore from.
        self.total += path.stat().st_blocks * 512
        if self.saved:
            self.saved[-1].unlink()
        self.saved.append(path)

    def restore_to(self, target):
        target.mkdir()
        self.run("tar", "--zstd", "-xf", self.saved[-1], "-C", target)
        return True

    def bytes(self):
        return self.total


class Restic(Saver):
    """restic, with its cache."""

    name = "restic"

    def restic(self, *args):
        env = {"RESTIC_REPOSITORY": str(self.dir / "repo"), "RESTIC_PASSWORD": "bench",
               "RESTIC_CACHE_DIR": str(self.dir / "cache")}
        return self.run("restic", "--quiet", *args, env=env)

    def prepare(self):
        self.restic("init")

    def save(self):
        self.restic("backup", "--exclude", self.workspace / ".git", ".")
        self.saved.append("latest")

    def diff(self):
        found = [it["short_id"] for it in self.snapshots()[-2:]]
        self.restic("diff", *found)
        return True

    def snapshots(self):
        return sorted(json.loads(self.restic("snapshots", "--json")), key=lambda it: it["time"])

    def restore_to(self, target):
        self.restic("restore", "latest", "--target", target)
        return True

    def bytes(self):
        return disk(self.dir / "repo")


class Stash(Saver):
    """`git stash create` in the user's own repository: tracked files only, and it writes there."""

    name = "git stash create"

    def save(self):
        self.saved.append(self.run("git", "-c", "gc.auto=0", "stash", "create").strip().decode())

    def bytes(self):
        return disk(self.workspace / ".git")


class Shadow(Saver):
    """A second repository for the same work tree, by git commands as anyone would type them.

    Over a repository it borrows that one's objects and begins with a copy of its index."""

    name = "shadow git by hand"

    def git(self, *args, stdin=None, index=None):
        env = {"GIT_DIR": str(self.dir / "git"), "GIT_WORK_TREE": str(self.workspace)}
        if index:
            env["GIT_INDEX_FILE"] = str(index)
        return self.run("git", "-c", "gc.auto=0", *args, env=env, stdin=stdin).strip().decode()

    def save(self):
        if not self.saved:
            self.git("init", "-q")
            git = self.dir / "git"
            (git / "info").mkdir(exist_ok=True)
            attributes = "* -text -eol -filter -ident -working-tree-encoding -merge\n"
            (git / "info/attributes").write_text(attributes)
            if (self.workspace / ".git").is_dir():
                objects = self.workspace / ".git/objects"
                (git / "objects/info/alternates").write_text(f"{objects}\n")
                shutil.copy2(self.workspace / ".git/index", git / "index")
        self.git("add", "-A")
        tree = self.git("write-tree")
        parents = ["-p", self.saved[-1]] if self.saved else []
        commit = self.git("commit-tree", tree, *parents, stdin=b"saved")
        self.git("update-ref", f"refs/saved/{len(self.saved)}", commit)
        self.saved.append(commit)

    def diff(self):
        self.git("diff", self.saved[-2], self.saved[-1])
        return True

    def restore_here(self):
        # As safely as can be: what is there is saved before.
        wanted = self.saved[-1]
        self.save()
        self.git("read-tree", "-m", "-u", self.saved[-1], wanted)
        return True

    def restore_to(self, target):
        target.mkdir()
        index = self.dir / "git/other-index"
        self.git("read-tree", self.saved[-1], index=index)
        self.git("checkout-index", "-a", f"--prefix={target}/", index=index)
        return True


def others(repository):
    """Returns the other ways, and why those that are not there are not."""
    found = [Shadow, Tar]
    if repository:
        found.append(Stash)
    missing = []
    if shutil.which("restic"):
        found.append(Restic)
    else:
        missing.append(("restic", "not installed: apt-get install restic"))
    return found, missing


def wipe(path):
    if path.exists():
        subprocess.run(["chmod", "-R", "u+rwX", str(path)], check=False)
        shutil.rmtree(pathlib.Path(path), ignore_errors=True)
