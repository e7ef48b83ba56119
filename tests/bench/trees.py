"""A workspace of 50,000 files and 1 GB, the same on every machine: 800 MB of text like source code,
a log of 100 MB, and 100 MB that nothing can compress. Needs no network and no registry."""

import os
import pathlib
import random
import shutil
import subprocess

FILES = 50_000
TEXT = 800_000_000
LOG = 100_000_000
NOISE_FILES, NOISE = 100, 1_000_000
TEXTS = FILES - NOISE_FILES - 2

# The log's place: the one long file.
LOG_NAME = "var/service.log"

# Another number for another tree: what is cached under an older one is not used.
FORM = 2

WORDS = """
accept account action active adapter address agent alias align amount append apply archive array
async atomic attach attempt balance batch before block border bound bridge broker bucket budget
buffer build bundle cache callback cancel capture cell chain change channel check child chunk claim
clear client clone close cluster codec collect color column command commit compare config connect
content context copy count cursor cycle daemon data deadline decode default delay delete delta
depth detail device digest direct disk dispatch display domain draft drain driver edge effect emit
empty encode engine entry epoch error event exact exit expect expire export extend fail fallback
fetch field file filter final finish fixed flag flush focus fold format forward frame gate global
grant graph grid group guard handle hash header heap height history hold hook host idle import
index initial inner input insert inspect instance interval invoke item job join journal keep kernel
key label last latch launch layer layout leaf lease left length level limit line link list load
local lock log loop lower map mark mask match measure member memory merge message meta method middle
migrate mode model module monitor mount move name native near nested next node normal notify number
object offset open option order origin outer output owner pack page pair panel parent parse part
patch path pattern pause peer pending pick pipe place plan point policy poll pool port position
""".split()

SHAPES = [
    "    let {a} = {b}.{c}({d})?;\n",
    "    pub {a}_{b}: Option<{C}>,\n",
    "    if {a}.{b}() < self.{c} {{\n",
    "        return Err({C}Error::{D}({a}));\n",
    "    }}\n",
    "    /// Returns the {a} of the {b}, as the {c} has it.\n",
    "    pub fn {a}_{b}(&self, {c}: &{D}) -> Result<{A}, {B}Error> {{\n",
    "        self.{a}.{b}({c}, {n})\n",
    "    assert_eq!({a}.{b}_{c}(), Some({n}));\n",
    "use crate::{a}::{{{B}, {C}}};\n",
    "        .map(|{a}| {a}.{b}.{c}({n}))\n",
    "    for {a} in {b}.{c}s().filter(|it| it.{d}()) {{\n",
    "            {a}: {b}.{c}.clone(),\n",
    "    // The {a} must not {b} before the {c} does, since its {d} may {a}.\n",
    "    match {a}.{b}({n}) {{\n",
    "        {A}::{B} => self.{c}_{d}({n}),\n",
    "\n",
]

# Lines that the whole tree shares, and how many of them one file is written with.
POOL, VOCABULARY = 60_000, 0.5


def make(into):
    """Returns the tree below `into`, made and committed if it is not there."""
    tree = into / f"tree-{FORM}"
    if tree.exists():
        return tree
    new = into / f"tree-{FORM}.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    write(new)
    git(new, "init", "-q", "-b", "main")
    git(new, "add", "-A")
    git(new, "commit", "-q", "-m", "The tree")
    # As a repository that was cloned, and not one of 50,000 loose objects.
    git(new, "repack", "-q", "-a", "-d", "--depth=10", "--window=2")
    new.rename(tree)
    return tree


def git(tree, *args):
    env = {
        "PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_NAME": "bench", "GIT_AUTHOR_EMAIL": "bench@localhost",
        "GIT_COMMITTER_NAME": "bench", "GIT_COMMITTER_EMAIL": "bench@localhost",
        "GIT_AUTHOR_DATE": "1700000000 +0000", "GIT_COMMITTER_DATE": "1700000000 +0000",
    }
    done = subprocess.run(["git", "-c", "gc.auto=0", *args], cwd=tree, env=env, check=True,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.stdout


def copy(tree, to, repository):
    """Copies the tree as a person's checkout: with a fresh index, or without a repository."""
    subprocess.run(["cp", "-a", tree, to], check=True)
    if repository:
        git(to, "update-index", "-q", "--refresh")
    else:
        shutil.rmtree(to / ".git")


def names():
    """Returns the names of the text files, in order: modules in crates."""
    chance = random.Random(3)
    found = {}
    while len(found) < TEXTS:
        crate = f"crates/{chance.choice(WORDS)}-{chance.choice(WORDS)}-{chance.randrange(8)}"
        inner = "/".join(chance.choices(WORDS, k=chance.randrange(3)))
        for _ in range(chance.randrange(4, 20)):
            name = f"{chance.choice(WORDS)}_{chance.choice(WORDS)}.rs"
            found[str(pathlib.PurePosixPath(crate, "src", inner, name))] = None
    return list(found)[: TEXTS]


def line(chance):
    a, b, c, d = chance.choices(WORDS, k=4)
    words = {"a": a, "b": b, "c": c, "d": d, "A": a.title(), "B": b.title(), "C": c.title(),
             "D": d.title(), "n": chance.randrange(10_000)}
    return chance.choice(SHAPES).format(**words)


def write(tree):
    chance = random.Random(1)
    pool = [line(chance) for _ in range(POOL)]
    mean = sum(map(len, pool)) / POOL
    all_names = names()
    # Many short files and some long ones, as in source trees.
    sizes = [chance.lognormvariate(0, 1.1) for _ in all_names]
    scale = TEXT / sum(sizes)
    made = set()
    for name, size in zip(all_names, sizes):
        path = tree / name
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        count = max(3, int(size * scale / mean))
        start = chance.randrange(POOL)
        own = pool[start:start + max(3, int(count * VOCABULARY))]
        path.write_text("".join(chance.choices(own, k=count)))
    for n in range(NOISE_FILES):
        path = tree / f"assets/{n:03}.bin"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(chance.randbytes(NOISE))
    # Ignores nothing that is there, but whoever looks has to ask.
    (tree / ".gitignore").write_text("/target\n*.o\n")
    (tree / LOG_NAME).parent.mkdir()
    with open(tree / LOG_NAME, "w") as log:
        log.write(log_text(2, LOG))


def log_text(seed, size):
    """Returns so many bytes of a log."""
    chance = random.Random(seed)
    lines, length, at = [], 0, 1_700_000_000
    while length < size:
        at += chance.randrange(3)
        a, b, c = chance.choices(WORDS, k=3)
        lines.append(f"{at} INFO {a}::{b} request={chance.getrandbits(24):06x} {c} took "
                     f"{chance.randrange(100_000)} us\n")
        length += len(lines[-1])
    return "".join(lines)[:size]


def change(tree, seed, count=20):
    """Changes a line in each of so many files, as a turn of Claude's does."""
    chance = random.Random(1000 + seed)
    for name in chance.sample(names(), count):
        path = tree / name
        text = path.read_text().splitlines(keepends=True)
        text[chance.randrange(len(text))] = line(chance)
        # Some editors write a new file over the old one, others into it.
        path.write_text("".join(text))


def append(tree, seed, size=1_000_000):
    """Appends to the long file."""
    with open(tree / LOG_NAME, "a") as log:
        log.write(log_text(2000 + seed, size))
