"""Files of networks, taken apart and put together again."""

import hashlib
import json
from pathlib import Path

FIXTURES = Path(__file__).parent / "fixtures"
BLANK = "0" * 64


def taken_apart(content):
    """The header and the bytes after it."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def put_together(header, data):
    """A file of such a header, or of such bytes of one."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def recipe_in(header):
    return json.loads(header["__metadata__"]["erlangen"])


def signed(header, data, recipe=None):
    """The file with this recipe, or text of one, None for its own, and the digest that it has then."""
    if not isinstance(recipe, str):
        recipe = json.dumps(
            {"format": 3, **(recipe_in(header) if recipe is None else recipe), "sha256": BLANK}
        )
    content = put_together({**header, "__metadata__": {"erlangen": recipe}}, data)
    return content.replace(BLANK.encode(), hashlib.sha256(content).hexdigest().encode(), 1)
