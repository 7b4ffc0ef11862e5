"""What a package index shows, and what an installation brings: the metadata and the code agree."""

import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LINK = re.compile(r"\]\(([^)]+)\)")


def readme_on_an_index():
    """The README as the build writes it into the metadata."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for each in PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(each["pattern"], each["replacement"], text)
    return text


def test_links_of_the_readme_hold_on_a_package_index():
    """Each is absolute, and leads to a file that the repository has."""
    targets = LINK.findall(readme_on_an_index())
    assert len(targets) == len(LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))) > 20
    homepage = PYPROJECT["project"]["urls"]["Homepage"]
    raw = homepage.replace("github.com", "raw.githubusercontent.com")
    for target in targets:
        assert target.startswith("https://")
        for start in (f"{homepage}/blob/main/", f"{raw}/main/"):
            if target.startswith(start):
                assert (ROOT / target.removeprefix(start).partition("#")[0]).exists(), target
    images = re.findall(r"!\[[^]]*\]\(([^)]+)\)", readme_on_an_index())
    assert images
    assert all(image.startswith(raw) for image in images)


def test_the_classifiers_name_the_versions_that_are_supported():
    versions = [
        each.rpartition(" ")[2] for each in PYPROJECT["project"]["classifiers"] if "Python :: 3." in each
    ]
    assert versions == ["3.11", "3.12", "3.13"]
    assert PYPROJECT["project"]["requires-python"] == f">={versions[0]}"
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in versions


NAMES = {
    "pyyaml": "yaml",
    "typing-extensions": "typing_extensions",
    "pydantic-settings": "pydantic_settings",
    "python-jsonpath": "jsonpath",
    "mlflow-skinny": "mlflow",
    "opentelemetry-sdk": "opentelemetry.sdk",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry.exporter.otlp.proto.http",
}


@pytest.mark.parametrize("requirement", PYPROJECT["project"]["dependencies"])
def test_each_dependency_is_imported_somewhere(requirement):
    """Nothing is installed that nobody uses."""
    name = Requirement(requirement).name
    module = NAMES.get(name, name)
    assert importlib.util.find_spec(module) is not None
    imports = re.compile(rf"^\s*(import|from) {module}\b", re.MULTILINE)
    sources = [
        path for package in ("harness", "reports", "tunegate") for path in (ROOT / package).rglob("*.py")
    ]
    assert any(imports.search(path.read_text(encoding="utf-8")) for path in sources)


# Bounds on what other libraries bring, and what transformers needs to read a GGUF file.
BOUNDS = {"langchain-community", "langchain-openai", "instructor", "gguf"}
# Which of them is imported is up to OTEL_EXPORTER_OTLP_PROTOCOL.
EXPORTERS = {f"opentelemetry-exporter-otlp-proto-{protocol}" for protocol in ("http", "grpc")}


@pytest.mark.parametrize("extra", PYPROJECT["project"]["optional-dependencies"])
def test_each_library_of_an_extra_is_imported_somewhere(extra):
    sources = "".join(
        path.read_text(encoding="utf-8")
        for package in ("harness", "reports", "trainers", "tunegate")
        for path in (ROOT / package).rglob("*.py")
    )
    names = {Requirement(each).name for each in PYPROJECT["project"]["optional-dependencies"][extra]}
    assert [
        name
        for name in sorted(names - BOUNDS - EXPORTERS - {"tunegate"})
        if not re.search(
            rf"^\s*(import|from) {NAMES.get(name, name).replace('-', '_')}\b", sources, re.MULTILINE
        )
    ] == []


def test_versions_that_tests_run_with_satisfy_the_dependencies():
    pinned = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    pinned = {name.lower().replace("_", "-"): version for name, version in pinned.items()}
    for requirement in map(Requirement, PYPROJECT["project"]["dependencies"]):
        assert pinned[requirement.name.lower()] in requirement.specifier, requirement


def test_the_development_environment_builds_without_an_environment_of_its_own():
    """``python -m build --no-isolation`` needs what the build system requires."""
    development = {Requirement(each).name for each in PYPROJECT["dependency-groups"]["dev"]}
    assert {Requirement(each).name for each in PYPROJECT["build-system"]["requires"]} <= development
