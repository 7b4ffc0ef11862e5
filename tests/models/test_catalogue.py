import re
from pathlib import PurePosixPath

import pytest

from harness.models.catalogue import CATALOGUE


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: entry.name)
def test_each_entry_is_pinned_and_safe(entry):
    """One exact version, full hashes, and no member that could land outside the model's directory."""
    assert CATALOGUE[entry.name] is entry
    assert re.fullmatch(r"[\w.-]+==[\w.]+", entry.requirement)
    project, version = entry.requirement.split("==")
    assert entry.wheel == f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
    assert all(re.fullmatch("[0-9a-f]{64}", sha) for sha in (entry.wheel_sha256, *entry.members.values()))
    for member in entry.members:
        path = PurePosixPath(member)
        assert not path.is_absolute()
        assert ".." not in path.parts
        assert path.suffix in {".json", ".safetensors", ".txt", ".md", ".gguf"}
    if entry.form == "gguf":
        assert len(entry.members) == 1
