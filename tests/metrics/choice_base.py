"""A tiny base model with a byte tokenizer, whose weights are a formula: the same on every machine."""

from pathlib import Path


def save_base(directory: Path, *, marks_words: bool = False) -> Path:
    """Save a Llama without a chat template, whose tokenizer puts a BOS before each text.

    With ``marks_words`` it also puts a space before it, as Llama 2's does: a word alone has other tokens than in
    its sentence.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "P"), ("e", "r"), ("ĠP", "a"), ("i", "s"), ("A", "n"), ("s", "w"), ("t", "h"), ("Ġ", "a")]
    words = ["<s>", "</s>", *alphabet, *("".join(pair) for pair in merges)]
    byte_tokenizer = Tokenizer(models.BPE({word: place for place, word in enumerate(words)}, merges))
    byte_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if marks_words:
        byte_tokenizer.normalizer = normalizers.Prepend(" ")
    byte_tokenizer.decoder = decoders.ByteLevel()
    byte_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=byte_tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        model_max_length=512,
    )
    fast.save_pretrained(directory)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(words),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=512,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )
    with torch.no_grad():
        for number, (_, weight) in enumerate(sorted(model.named_parameters())):
            steps = torch.arange(weight.numel(), dtype=torch.float64)
            waves = torch.sin(steps * (1.37 + 0.11 * number) + steps.square() * 0.003)
            weight.copy_((0.3 * waves if weight.dim() > 1 else 1 + 0.1 * waves).reshape(weight.shape))
    model.save_pretrained(directory)
    return directory
