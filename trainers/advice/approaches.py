"""The approaches that can be advised, with caveats and their sources."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """One way of changing a model's answers.

    Attributes:
        title: Its name in full.
        trainers: Trainers to run, in order; none if nothing is trained.
        caveats: Risks, with their sources.
    """

    title: str
    trainers: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()


_FORGETS = "Any fine-tune may lose skills of the base: gate it; the forgetting probes run by default."
_OPTIMISES_THE_REWARD = (
    "The model learns exactly what is rewarded, including loopholes (Skalse et al. 2022, arXiv:2209.13085): read the stored "
    "samples and the canaries."
)

APPROACHES: Mapping[str, Approach] = {
    "prompting": Approach(
        title="Prompting, with a few examples in the prompt (few-shot)",
        caveats=(
            "Write a golden set first: it shows whether a prompt is enough, and measures every later step.",
            "A long prompt costs tokens with every answer; the order of its examples changes results (Lu et al. "
            "2022, arXiv:2104.08786).",
        ),
    ),
    "rag": Approach(
        title="Retrieval: look the facts up and put them into the prompt (RAG)",
        caveats=(
            "An answer is only as good as the retrieved passages: measure retrieval and answer separately.",
            "Fine-tuning on new facts teaches slowly and makes a model invent more (Gekhman et al. 2024, "
            "arXiv:2405.05904); retrieval beat it on new knowledge (Ovadia et al. 2024, arXiv:2312.05934).",
        ),
    ),
    "sft": Approach(
        title="Supervised fine-tuning on the good answers (SFT)",
        trainers=("sft",),
        caveats=(
            "It imitates: it also learns mistakes in the answers. A thousand careful examples beat many "
            "careless ones (Zhou et al. 2023, LIMA, arXiv:2305.11206).",
            _FORGETS,
        ),
    ),
    "dpo": Approach(
        title="Direct preference optimisation (DPO), from an SFT adapter where there is one",
        trainers=("dpo",),
        caveats=(
            "It moves away from the rejected answer, and may lower the chosen one too: watch both (Pal et al. 2024, "
            "arXiv:2402.13228).",
            "If the better answers are mostly longer, length is learnt (Park et al. 2024, arXiv:2403.19159).",
            _FORGETS,
        ),
    ),
    "orpo": Approach(
        title="Odds-ratio preference optimisation (ORPO): answers and preferences in one stage",
        trainers=("orpo",),
        caveats=(
            "Without a reference model nothing keeps it near the base: keep the rate low.",
            _FORGETS,
        ),
    ),
    "kto": Approach(
        title="Kahneman-Tversky optimisation (KTO)",
        trainers=("kto",),
        caveats=(
            "Both thumbs are needed; if one is rare, raise its weight with desirable_weight or undesirable_weight.",
            "A thumb has less information than a pair: if you have pairs, DPO needs fewer of them.",
            _FORGETS,
        ),
    ),
    "grpo": Approach(
        title="Policy optimisation on the reward (GRPO)",
        trainers=("grpo",),
        caveats=(
            "If no sampled answer gets a reward, nothing is learnt: try a dozen questions first, and begin with "
            "SFT if all fail.",
            _OPTIMISES_THE_REWARD,
            "Sampling takes most of the time.",
        ),
    ),
    "rft": Approach(
        title="Keep the best sampled answers, and fine-tune on them (RFT)",
        trainers=("rft",),
        caveats=(
            "It learns only answers that the model already gets right sometimes (Yuan et al. 2023, arXiv:2308.01825).",
            _OPTIMISES_THE_REWARD,
        ),
    ),
    "rlhf": Approach(
        title="Reward model and policy optimisation (RLHF), after SFT",
        trainers=("rlhf",),
        caveats=(
            "Three stages, with the most possible failures; compare with plain DPO on the same pairs before trusting it.",
            "The last stage is RLOO, or PPO if ppo: is given in place of rloo: RLOO has fewer keys, and is the one to try first.",
            "The more it is optimised, the less reliable is the reward model (Gao et al. 2023, arXiv:2210.10760).",
            _FORGETS,
        ),
    ),
    "continual": Approach(
        title="Continual pretraining on the text, then SFT",
        trainers=("continual", "sft"),
        caveats=(
            "It forgets most of all: mix general text into the data, and gate after each stage.",
            "Single facts are hardly learnt from one reading (Allen-Zhu and Li 2024, arXiv:2309.14316): keep retrieval "
            "for what must be exact.",
        ),
    ),
    "multitask": Approach(
        title="One adapter on all tasks mixed, against one adapter for each",
        trainers=("sft",),
        caveats=(
            "Tasks may disturb each other: tag the golden cases by task, and compare with an adapter for each task.",
            "Without balance the largest task dominates: list one file per task under data, of about equal length.",
            _FORGETS,
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedWeights:
    """What a training may change: ``peft:`` and ``quantization:`` of its configuration.

    Attributes:
        keys: The configuration's keys.
        when: When it is the right choice.
    """

    keys: str
    when: str


# The first is the default.
TRAINED_WEIGHTS: tuple[TrainedWeights, ...] = (
    TrainedWeights(
        keys="quantization: nf4",
        when="QLoRA, the default: LoRA on a base in 4 bits, close to full fine-tuning (Dettmers et al. 2023, arXiv:2305.14314).",
    ),
    TrainedWeights(
        keys="quantization: none",
        when="LoRA on a base in 16 bits: faster, if the base fits into memory; it forgets less than full tuning, and learns "
        "less (Biderman et al. 2024, arXiv:2405.09673).",
    ),
    TrainedWeights(
        keys="peft: {method: full}",
        when="full tuning: where much is to be learnt from much data (continual pretraining), with memory for all weights' "
        "states; the result is a whole model.",
    ),
    TrainedWeights(
        keys="peft: {method: ia3, vera, loha, lokr, oft}",
        when="other adapters: smaller files for many tasks (IA3, VeRA), or other shapes of the update; try LoRA first.",
    ),
    TrainedWeights(
        keys="peft: {method: prefix, prompt}",
        when="virtual tokens: the smallest files; they steer what the base can do already, and take room in the context.",
    ),
)  # fmt: skip

# Words for what this program does not train, with where to go.
OUTSIDE: Mapping[str, str] = dict.fromkeys(
    ("image", "images", "dreambooth", "textual-inversion", "diffusion"),
    "image models (DreamBooth, textual inversion, LoRA of diffusion models) are not covered: tunegate trains and gates "
    "language models; see the diffusers library",
)
