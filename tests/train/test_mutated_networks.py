"""Networks that were damaged, edited or forged: the same answer, or a ValueError, soon, in little memory.

As a script it tries so many and prints the peak of its memory: the child of the slow test.
"""

import hashlib
import json
import random
import resource
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import torch
from children import printed_by
from packed import BLANK, FIXTURES, put_together, recipe_in, signed, taken_apart

import erlangen as er

SECONDS = 10  # of processor time
MEMORY = 2 * 1024**3  # bytes
X = torch.linspace(0, 40, 3 * 8 * 12).sin().mul(0.5).add(0.5).view(1, 3, 8, 12)
DEEP = "@deep@"  # stands for brackets that no encoder would write
VALUES = [
    *(
        -1,
        0,
        1,
        2,
        3,
        4,
        5,
        7,
        8,
        16,
        64,
        65,
        127,
        128,
        255,
        2**16,
        2**31,
        2**63,
        10**30,
        -(10**30),
        10**4000,
    ),
    *(0.0, -0.0, 0.5, 1.0, 1.5, 2.5, 32.0, 1e5, 1e300, float("nan"), float("inf"), True, False, None),
    *("", "max", "mean", "circular", "reflect", "zeros", "gated", "polynomial", "translations", "isometries"),
    *("UNet", "Classifier", "Plane", "Sphere", "4", "h\u00e9risson", "\udc80", "\0", "x" * 10**5, DEEP),
    *([], {}, [1], ["a", "b"], ["a", "b", "c"], ["a"] * 300, [0, 1], [1, 0], [[]], {"name": "UNet"}),
]
KEYS = ("more", "values", "blocks", "pooling", "", "\udc80", "sha256")
SHAPES = ([], [0], [1], [-1], [2**40, 2**40], [2**63], [1.0], [True], None, "1")
METADATA = ({}, None, [], {"erlangen": 3}, {"erlangen": "{}"}, {"format": "pt"})
DTYPES = ["F16", "BF16", "F32", "F64", "I64", "I32", "U8", "BOOL", "C64", "F8_E4M3", "", 3, None]


def networks():
    """Files of small networks in both forms, by a name; and their answers."""
    files = {}
    for name in ("unet", "classifier"):
        pair = FIXTURES / f"format2_{name}"
        files[f"pair {name}"] = {n: (pair / n).read_bytes() for n in ("model.safetensors", "model.json")}
        for kind in ("float", "half"):
            with tempfile.TemporaryDirectory() as folder:
                er.save(getattr(er.load(pair), kind)(), folder)
                content = (Path(folder) / "model.safetensors").read_bytes()
            files[f"one {name} {kind}"] = {"model.safetensors": content}
    return files


def outcome(files, folder):
    """The answer of a network of such files; or the refusal, in words."""
    for file in folder.iterdir():
        file.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(12 * SECONDS)  # for what waits, on a busy machine
    try:
        return er.predict(er.load(folder), X)[0]
    except ValueError as error:
        return str(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


def damaged(content, rng):
    """Bytes that were lost, changed or added."""
    content = bytearray(content)
    start, length = rng.randrange(len(content)), rng.choice((1, 1, 8, 100, 3000))
    way = rng.randrange(7)
    if way == 0:
        content[start] ^= 1 << rng.randrange(8)
    elif way == 1:
        content[start : start + length] = rng.randbytes(len(content[start : start + length]))
    elif way == 2:
        del content[start:]
    elif way == 3:
        del content[start : start + length]
    elif way == 4:
        content[start:start] = content[:length]
    elif way == 5:
        content += rng.choice((bytes(content), b"\0" * length, b"}"))
    else:
        content[:8] = rng.choice((0, 1, 2**20, 2**31, 2**63, 2**64 - 1, length)).to_bytes(8, "little")
    return bytes(content)


def spoiled_recipe(recipe, rng):
    """Text of a recipe with one to three other values, keys too many or too few."""
    recipe = json.loads(json.dumps(recipe))
    for _ in range(rng.choice((1, 1, 2, 3))):
        part = rng.choice([recipe, *(recipe[k] for k in ("domain", "model", "task") if k in recipe)])
        if not isinstance(part, dict) or not part:
            continue
        key, way = rng.choice(sorted(part)), rng.randrange(6)
        if way == 0:
            del part[key]
        elif way == 1:
            part[rng.choice(KEYS)] = rng.choice(VALUES)
        else:
            part[key] = rng.choice(VALUES)
    text = json.dumps(recipe).replace(f'"{DEEP}"', rng.choice(("[" * 5000 + "]" * 5000, '{"a":' * 3000)))
    if rng.random() < 0.05:
        text = text[:-1] + ', "size": 3, "size": 4}'
    return text


def spoiled_header(header, rng):
    """A header whose entries were renamed, exchanged, dropped, or tell of other tensors."""
    header = json.loads(json.dumps(header))
    names = sorted(set(header) - {"__metadata__"})
    a, b = rng.sample(names, 2)
    way = rng.randrange(9)
    if way == 0:
        header[a], header[b] = header[b], header[a]
    elif way == 1:
        del header[a]
    elif way == 2:
        header[rng.choice(("more", "", "\udc80", "__proto__"))] = (
            header.pop(a) if rng.random() < 0.5 else header[a]
        )
    elif way == 3:
        header[a]["dtype"] = rng.choice(DTYPES)
    elif way == 4:
        header[a]["shape"] = rng.choice(
            ([], [0], [1], [-1], [2**40, 2**40], [2**63], [1.0], [True], None, "1")
        )
    elif way == 5:
        header[a]["shape"] = [rng.choice((1, 2, 4, 1000)) for _ in header[a]["shape"]]
    elif way == 6:
        header[a]["data_offsets"] = rng.choice(([0, 0], [0], [-4, 4], [8, 4], [0, 2**63], ["0", 4], None))
    elif way == 7:
        header[a] = rng.choice((None, [], {}, 3, "F32", {**header[a], "more": 1}))
    else:
        header["__metadata__"] = rng.choice(
            ({}, None, [], {"erlangen": 3}, {"erlangen": "{}"}, {"format": "pt"})
        )
    return header


def mutated(files, seed):
    """Files of a network in which something is other, and whether it may give another answer."""
    rng = random.Random(seed)
    name = sorted(files)[seed % len(files)]
    new = dict(files[name])
    content = new["model.safetensors"]
    header, data = taken_apart(content)
    way, sign = rng.randrange(6), rng.random() < 0.5
    if name.startswith("pair"):
        recipe = json.loads(new["model.json"])
        if way == 0:
            new["model.json"] = damaged(new["model.json"], rng)
            return new, True  # their digest is of the weights only
        if way in (1, 2):
            new["model.json"] = spoiled_recipe(recipe, rng).encode()
            return new, True
        if way == 3:
            content = put_together(spoiled_header(header, rng), data)
        elif way == 4:
            content = put_together(header, damaged(data, rng))
        else:
            content = damaged(content, rng)
        if sign:
            recipe["sha256"] = hashlib.sha256(content).hexdigest()
            new["model.json"] = json.dumps(recipe).encode()
        return new | {"model.safetensors": content}, sign
    recipe = recipe_in(header)
    if way == 0:
        other = files[rng.choice(sorted(files))]["model.safetensors"]
        cut = rng.randrange(len(content))
        content = rng.choice((content[:cut] + other[cut:], content + other, other[:cut] + content[cut:]))
        return {"model.safetensors": content}, content == other
    if way in (1, 2):
        text = spoiled_recipe({**recipe, "sha256": BLANK} if sign else recipe, rng)
        content = (
            signed(header, data, text)
            if sign
            else put_together({**header, "__metadata__": {"erlangen": text}}, data)
        )
    elif way == 3:
        header = spoiled_header(header, rng)
        content = signed(header, data, recipe) if sign else put_together(header, data)
    elif way == 4:
        data = damaged(data, rng)
        content = signed(header, data, recipe) if sign else put_together(header, data)
    else:
        content, sign = damaged(content, rng), False
    return {"model.safetensors": content}, sign


def try_networks(seeds):
    """How often networks loaded and were refused; anything else raises."""
    files, counts = networks(), Counter()
    with tempfile.TemporaryDirectory() as path:
        answers = {name: outcome(content, Path(path)) for name, content in files.items()}
        assert all(isinstance(answer, torch.Tensor) for answer in answers.values())
        for seed in seeds:
            print(seed, file=sys.stderr, flush=True)
            new, may_differ = mutated(files, seed)
            found = outcome(new, Path(path))
            if isinstance(found, str):
                assert "expected" in found, (seed, found)
                assert len(found) < 2000, (seed, found)
                counts["refused"] += 1
            else:
                same = found.shape == answers[name := sorted(files)[seed % len(files)]].shape
                same = same and torch.equal(found, answers[name])
                assert same or may_differ, (seed, "another answer in silence")
                counts["same" if same else "forged"] += 1
    return counts


def test_some_mutated_networks():
    counts = try_networks(range(60))
    assert counts["refused"] > 40
    assert sum(counts.values()) == 60


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
def test_three_thousand_mutated_networks(part):
    counts = json.loads(printed_by(__file__, part, 600))
    assert counts["memory"] < MEMORY
    assert counts["refused"] > 300


if __name__ == "__main__":
    tried = try_networks(range(int(sys.argv[1]), int(sys.argv[2])))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({**tried, "memory": peak}))
