"""The adviser's table: the first row that fits a situation decides."""

from collections.abc import Iterator
from dataclasses import dataclass

from trainers.advice.situation import DATA, GOALS, Situation

# Below these numbers a prompt with the same examples is the better choice; orders of magnitude, not measurements.
FEW_EXAMPLES, FEW_JUDGEMENTS, FEW_QUESTIONS, MANY_PAIRS, MANY_DOCUMENTS = 50, 100, 100, 5_000, 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of the table.

    Attributes:
        goals: Goals that it is for.
        data: Kinds of data that it is for.
        least: Fewest rows, inclusive.
        below: Fewer rows than that; None for no limit.
        instruct: Only for bases that follow instructions, or only for those that don't; None for both.
        approach: What it advises.
        reason: Why.
        instead: What comes next to it, or with it.
    """

    goals: tuple[str, ...]
    data: tuple[str, ...]
    least: int = 0
    below: int | None = None
    instruct: bool | None = None
    approach: str
    reason: str
    instead: tuple[str, ...] = ()


RULES: tuple[Rule, ...] = (
    Rule(
        goals=("facts",),
        data=tuple(DATA),
        approach="rag",
        reason="What changes tomorrow can't be trained in today; a looked-up passage can be replaced, and cited.",
        instead=("sft",),
    ),
    Rule(
        goals=("domain",),
        data=("text",),
        least=MANY_DOCUMENTS,
        approach="continual",
        reason="There is enough text to learn a domain's language from; SFT afterwards brings back the answering.",
        instead=("rag",),
    ),
    Rule(
        goals=("domain",),
        data=("examples",),
        least=4 * FEW_EXAMPLES,
        approach="sft",
        reason="Enough worked answers show how the domain's questions are answered; keep retrieval for its facts.",
        instead=("rag",),
    ),
    Rule(
        goals=("domain",),
        data=tuple(DATA),
        approach="rag",
        reason="Knowledge comes from documents: too few are there to learn from, or judgements, which hold none.",
        instead=("prompting",),
    ),
    Rule(
        goals=tuple(GOALS),
        data=("none",),
        approach="prompting",
        reason="Without data nothing can be trained, and a prompt shows soonest what is missing.",
    ),
    Rule(
        goals=tuple(GOALS),
        data=("text",),
        approach="prompting",
        reason="Raw text teaches to continue it, not to answer; make questions and answers of it to train on.",
        instead=("sft",),
    ),
    Rule(
        goals=tuple(GOALS),
        data=("examples",),
        below=FEW_EXAMPLES,
        approach="prompting",
        reason=f"Fewer than {FEW_EXAMPLES} examples do more in the prompt than in the weights.",
        instead=("sft",),
    ),
    Rule(
        goals=("tasks",),
        data=("examples",),
        least=FEW_EXAMPLES,
        approach="multitask",
        reason="Tasks that share a base can share an adapter, and often help each other where data is short.",
        instead=("sft",),
    ),
    Rule(
        goals=("style", "skill", "preferences"),
        data=("examples",),
        least=FEW_EXAMPLES,
        approach="sft",
        reason="Good answers are there: imitating them is the simplest thing that works, and cheap to repeat.",
        instead=("prompting",),
    ),
    Rule(
        goals=tuple(GOALS),
        data=("pairs", "thumbs"),
        below=FEW_JUDGEMENTS,
        approach="prompting",
        reason=f"Fewer than {FEW_JUDGEMENTS} judgements say too little; show some of the good ones in the prompt.",
        instead=("sft",),
    ),
    Rule(
        goals=tuple(GOALS),
        data=("pairs",),
        least=FEW_JUDGEMENTS,
        instruct=False,
        approach="orpo",
        reason="The base does not follow instructions yet, and this learns that and the preference at once.",
        instead=("dpo",),
    ),
    Rule(
        goals=("preferences",),
        data=("pairs",),
        least=MANY_PAIRS,
        approach="rlhf",
        reason="So many pairs carry a reward model, which can judge answers that nobody has seen.",
        instead=("dpo",),
    ),
    Rule(
        goals=tuple(GOALS),
        data=("pairs",),
        least=FEW_JUDGEMENTS,
        approach="dpo",
        reason="Pairs say what to do and what to leave; this learns from them without a reward model.",
        instead=("orpo",),
    ),
    Rule(
        goals=tuple(GOALS),
        data=("thumbs",),
        least=FEW_JUDGEMENTS,
        approach="kto",
        reason="It learns from single answers, as they come from users, and needs no pairs.",
        instead=("dpo",),
    ),
    Rule(
        goals=("skill", "style", "tasks", "preferences"),
        data=("reward",),
        below=FEW_QUESTIONS,
        approach="rft",
        reason="With few questions, keeping the best of many samples is steadier than following a gradient of rewards.",
        instead=("grpo",),
    ),
    Rule(
        goals=("style",),
        data=("reward",),
        least=FEW_QUESTIONS,
        approach="rft",
        reason="A form is soon hit by chance: keeping the hits is enough, and does not chase the score further.",
        instead=("grpo",),
    ),
    Rule(
        goals=("skill", "preferences", "tasks"),
        data=("reward",),
        least=FEW_QUESTIONS,
        approach="grpo",
        reason="Answers can be scored, so the model can practise beyond the examples that anyone wrote.",
        instead=("rft",),
    ),
)  # fmt: skip


def fits(rule: Rule, situation: Situation) -> bool:
    """Whether a row is for this situation.

    Args:
        rule: One row of the table.
        situation: The goal and the means for it.
    """
    return (
        situation.goal in rule.goals
        and situation.data in rule.data
        and situation.rows >= rule.least
        and (rule.below is None or situation.rows < rule.below)
        and rule.instruct in {None, situation.instruct}
    )


def fitting(situation: Situation) -> Iterator[Rule]:
    """All rows that fit, in the table's order; the first decides."""
    return (rule for rule in RULES if fits(rule, situation))
