"""The adviser's table: the first row that fits a situation decides."""

from collections.abc import Iterator
from dataclasses import dataclass

from trainers.advice.situation import DATA, GOALS, Situation

# Below these numbers a prompt with the same examples is the better choice; orders of magnitude, not
# measurements.
FEW_EXAMPLES, FEW_JUDGEMENTS, FEW_QUESTIONS, MANY_PAIRS, MANY_DOCUMENTS = 50, 100, 100, 5_000, 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of the table.

    Attributes:
        goals: Its goals.
        data: Its kinds of data.
        least: Fewest rows, inclusive.
        below: Fewer rows than that; None for no limit.
        instruct: Only for bases that follow instructions, or only for those that don't; None for both.
        approach: The advised approach.
        reason: Why.
        instead: The second-best approaches, or further ones.
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
        reason="Facts that change can't be trained into a model; a retrieved passage can be replaced and cited.",
        instead=("sft",),
    ),
    Rule(
        goals=("domain",),
        data=("text",),
        least=MANY_DOCUMENTS,
        approach="continual",
        reason="There is enough text to learn a domain's language; SFT afterwards restores the ability to answer.",
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
        reason="Knowledge comes from documents: here are too few of them, or only judgements, which contain none.",
        instead=("prompting",),
    ),
    Rule(
        goals=tuple(GOALS),
        data=("none",),
        approach="prompting",
        reason="Without data nothing can be trained, and a prompt shows quickly what is missing.",
    ),
    Rule(
        goals=tuple(GOALS),
        data=("text",),
        approach="prompting",
        reason="Raw text teaches to continue it, not to answer; make questions and answers from it for training.",
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
        reason="Tasks with the same base can share an adapter, and often help each other if there is little data.",
        instead=("sft",),
    ),
    Rule(
        goals=("style", "skill", "preferences"),
        data=("examples",),
        least=FEW_EXAMPLES,
        approach="sft",
        reason="You have good answers: imitating them is the simplest method that works, and cheap to repeat.",
        instead=("prompting",),
    ),
    Rule(
        goals=tuple(GOALS),
        data=("pairs", "thumbs"),
        below=FEW_JUDGEMENTS,
        approach="prompting",
        reason=f"Fewer than {FEW_JUDGEMENTS} judgements are too little information; show some of the good answers in the prompt.",
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
        reason="This many pairs are enough for a reward model, which can judge new answers.",
        instead=("dpo",),
    ),
    Rule(
        goals=tuple(GOALS),
        data=("pairs",),
        least=FEW_JUDGEMENTS,
        approach="dpo",
        reason="Pairs show both what to do and what to avoid; this learns from them without a reward model.",
        instead=("orpo",),
    ),
    Rule(
        goals=tuple(GOALS),
        data=("thumbs",),
        least=FEW_JUDGEMENTS,
        approach="kto",
        reason="It learns from single answers, as users give them, and needs no pairs.",
        instead=("dpo",),
    ),
    Rule(
        goals=("skill", "style", "tasks", "preferences"),
        data=("reward",),
        below=FEW_QUESTIONS,
        approach="rft",
        reason="With few questions, keeping the best of many samples is more stable than following a gradient of rewards.",
        instead=("grpo",),
    ),
    Rule(
        goals=("style",),
        data=("reward",),
        least=FEW_QUESTIONS,
        approach="rft",
        reason="Sampled answers soon have the right format by chance: keeping these is enough, and does not over-optimise the score.",
        instead=("grpo",),
    ),
    Rule(
        goals=("skill", "preferences", "tasks"),
        data=("reward",),
        least=FEW_QUESTIONS,
        approach="grpo",
        reason="Answers can be scored, so the model can practise beyond written examples.",
        instead=("rft",),
    ),
)  # fmt: skip


def fits(rule: Rule, situation: Situation) -> bool:
    """Whether a row applies to this situation.

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
    """All rows that apply, in the table's order; the first decides."""
    return (rule for rule in RULES if fits(rule, situation))
