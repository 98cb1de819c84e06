"""Prompts to embeddings, each text encoded once."""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor

from models.stable_diffusion.components import Components

_CACHED_TEXTS = 64


@dataclass(frozen=True)
class Embedding:
    """One encoded text.

    Attributes:
        hidden_states: (1, T, C) float, the text encoder's output.
        tokens: how many the text has, with its start and end marks.
        limit: how many fit; those beyond are cut.
    """

    hidden_states: Tensor
    tokens: int
    limit: int


class PromptEncoder:
    """Encodes texts as diffusers' Stable Diffusion pipelines do, and remembers the last 64.

    diffusers logs the part of a prompt that it cuts; here a text reaches no log.
    """

    def __init__(self, components: Components) -> None:
        """Take the tokenizer and the text encoder."""
        self._tokenizer = components.tokenizer
        self._text_encoder = components.text_encoder
        self._cache: OrderedDict[str, Embedding] = OrderedDict()

    @torch.inference_mode()
    def encode(self, text: str) -> Embedding:
        """Return the embedding of one text; a text that is too long is cut at the end."""
        if text in self._cache:
            self._cache.move_to_end(text)
            return self._cache[text]
        embedding = self._compute(text)
        self._cache[text] = embedding
        if len(self._cache) > _CACHED_TEXTS:
            self._cache.popitem(last=False)
        return embedding

    def _compute(self, text: str) -> Embedding:
        limit = self._tokenizer.model_max_length
        inputs = self._tokenizer(
            text, padding="max_length", max_length=limit, truncation=True, return_tensors="pt"
        )
        device = self._text_encoder.device
        mask = None
        if getattr(self._text_encoder.config, "use_attention_mask", False):
            mask = inputs.attention_mask.to(device)
        states = self._text_encoder(inputs.input_ids.to(device), attention_mask=mask)[0]
        # verbose=False: transformers would warn of a long text by itself.
        tokens = len(self._tokenizer(text, truncation=False, verbose=False).input_ids)
        return Embedding(states, tokens, limit)
