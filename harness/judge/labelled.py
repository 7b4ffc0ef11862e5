"""Labelled items that a judge is compared with: ``golden_sets/judge/*.yaml``."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.errors import GoldenError, as_one
from harness.golden.explain import explain, golden_error
from harness.golden.judge_template import TemplateFileError, find_template
from harness.golden.schema import ID_PATTERN, Tag
from harness.golden.yaml_lines import Document, KeyPath, parse_yaml
from tunegate.project import command_project, searched_files, unsearched_folders

Task: TypeAlias = Literal["rubric", "reference", "factuality", "tone", "pairwise"]
Trap: TypeAlias = Literal["none", "verbose", "terse", "injection", "position"]
Label: TypeAlias = Literal["pass", "fail", "a", "b", "tie"] | int

# Required keys of each task, besides id, task, question, label and reason; allowed labels.
NEEDS: dict[Task, tuple[str, ...]] = {
    "rubric": ("rubric", "answer"),
    "reference": ("reference", "answer"),
    "factuality": ("reference", "answer"),
    "tone": ("rubric", "answer"),
    "pairwise": ("answer_a", "answer_b"),
}
LABELS: dict[Task, tuple[Label, ...]] = {
    "rubric": ("pass", "fail"),
    "reference": (1, 2, 3, 4, 5),
    "factuality": ("pass", "fail"),
    "tone": ("pass", "fail"),
    "pairwise": ("a", "b", "tie"),
}

# The check type that asks each task's question.
CHECKS: dict[Task, str] = {
    "rubric": "llm-rubric",
    "reference": "llm-reference",
    "factuality": "factuality",
    "tone": "tone",
    "pairwise": "pairwise",
}

Text = Annotated[str, Field(min_length=1)]


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class LabelledItem(_StrictModel):
    """One question with one or two answers, and a person's judgement."""

    id: Annotated[str, Field(pattern=ID_PATTERN, max_length=120, description="Unique among all items.")]
    task: Annotated[Task, Field(description="Which of the judge's questions it calibrates.")]
    question: Annotated[Text, Field(description="What the model was asked.")]
    rubric: Annotated[
        Text | None, Field(description="What a good answer satisfies; for tone: the expected tone.")
    ] = None
    reference: Annotated[Text | None, Field(description="A right answer.")] = None
    answer: Annotated[str | None, Field(description="The answer that is judged.")] = None
    answer_a: Annotated[str | None, Field(description="A pair's first answer.")] = None
    answer_b: Annotated[str | None, Field(description="A pair's second answer.")] = None
    template: Annotated[
        Text | None, Field(description="File beside this one with the question's own wording.")
    ] = None
    label: Annotated[
        Label, Field(description="pass or fail; 1 to 5 for reference; a, b or tie for pairwise.")
    ]
    reason: Annotated[Text, Field(description="Why the label is what it is.")]
    trap: Annotated[
        Trap,
        Field(description="What misleads a weak judge here: length, terseness, an injected order, position."),
    ] = "none"
    tags: Annotated[
        list[Tag], Field(description="Kinds of the item, named as the tags of golden cases.")
    ] = []
    cluster: Annotated[str | None, Field(description="Items of one cluster are not independent.")] = None
    rater: Annotated[str | None, Field(description="The person who labelled it, if known.")] = None
    labelled_at: Annotated[str | None, Field(description="When, ISO 8601.")] = None

    @model_validator(mode="after")
    def _complete(self) -> "LabelledItem":
        for key in NEEDS[self.task]:
            if getattr(self, key) is None:
                raise ValueError(f"{self.task} needs {key}")
        foreign = {"answer", "answer_a", "answer_b"} - set(NEEDS[self.task])
        for key in sorted(foreign):
            if getattr(self, key) is not None:
                raise ValueError(f"{self.task} takes no {key}")
        if self.label not in LABELS[self.task]:
            allowed = ", ".join(map(str, LABELS[self.task]))
            raise ValueError(f"label {self.label!r} is not allowed for {self.task} (allowed: {allowed})")
        return self


class LabelledSet(_StrictModel):
    """A file of labelled items."""

    name: Annotated[str, Field(pattern=ID_PATTERN, description="The set's name.")]
    labelled_by: Annotated[Text, Field(description="Who labelled the items, and how.")]
    items: Annotated[list[LabelledItem], Field(min_length=1, description="The items.")]


def load_labelled_set(path: Path) -> LabelledSet:
    """Read a file of labelled items.

    Raises:
        GoldenError: With file, line, key, what was found and what is allowed.
    """
    document = parse_yaml(path)
    try:
        read = LabelledSet.model_validate(document.data)
    except ValidationError as error:
        raise as_one(explain(document, error, known_at=_known_keys)) from error
    first: dict[str, int] = {}
    for index, item in enumerate(read.items):
        earlier = first.setdefault(item.id, index)
        if earlier != index:
            problem = f"{item.id!r} is taken by line {document.line(('items', earlier, 'id'))}"
            raise golden_error(document, ("items", index, "id"), problem, "a new id")
    items = [_with_template(document, place, item) for place, item in enumerate(read.items)]
    return read.model_copy(update={"items": items})


def _with_template(document: Document, place: int, item: LabelledItem) -> LabelledItem:
    """The item with its template's absolute path, once the file was read."""
    if item.template is None:
        return item
    try:
        file, _ = find_template(item.template, document.path.parent, CHECKS[item.task])
    except TemplateFileError as error:
        key: KeyPath = ("items", place, "template")
        raise golden_error(document, key, str(error), error.allowed) from error
    return item.model_copy(update={"template": str(file)})


def labelled_files(paths: list[Path]) -> list[Path]:
    """The YAML files among and below the given paths.

    Raises:
        GoldenError: A path is not there, or a directory holds none.
    """
    files: list[Path] = []
    unsearched = unsearched_folders(command_project(Path.cwd()))
    for path in paths:
        inside = sorted(searched_files(path, {".yaml", ".yml"}, unsearched))
        found = inside if path.is_dir() else [path]
        if not found or not all(file.is_file() for file in found):
            raise GoldenError(path, None, "", "no labelled set here", "a YAML file or a directory of them")
        files += found
    return files


def _known_keys(key: KeyPath) -> Iterable[str]:
    return LabelledItem.model_fields if len(key) > 1 else LabelledSet.model_fields
