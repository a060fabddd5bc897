"""Runs plans: one flattened forward of the inner model, its attention served from the KV store."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .attention import AttentionBackend, StepAttention
from .attention.limits import layer_windows
from .attention.transformers_hook import ForwardPass, use_engine_attention
from .attention.triton import TritonAttention
from .attention.windows import cut_chunks
from .attention.writes import as_index
from .batch import Batch, BatchBuilder
from .encoders import is_encoder, position_offset
from .errors import UnsupportedModelError
from .kv.cache import KVCache
from .onednn import weight_count
from .parts import in_parts
from .replay import CudaRecorder, Recorder, Replays, asked_for
from .speculation import pass_overhead
from .transfer import Transfer


class ModelRunner:
    """A transformers causal LM or encoder, driven without cache objects, masks or vocabulary logits.

    `lm`: any AutoModelForCausalLM, or an encoder's AutoModel, whose attention goes through transformers' attention
    interface. `context_bias`: of its plans. Raises UnsupportedModelError when its masks are neither its kind's usual
    ones nor sliding windows, SettingError for a wrong value of the switch of `replay.py`.
    `most_rows`: of one pass; a larger step takes several (`parts.py`). None: any step takes one.
    """

    def __init__(
        self,
        lm: Any,
        backend: AttentionBackend,
        slots: int,
        context_bias: float = 0.0,
        most_rows: int | None = None,
    ) -> None:
        self._inner, self.backend, self._most_rows = lm.base_model, backend, most_rows
        self.device: torch.device = lm.device
        self.kernels = backend.kernels
        """Whether the Triton kernels run here."""
        self.bidirectional = is_encoder(lm.config)
        """Whether its plans are an encoder's (`BatchBuilder`)."""
        self.context_bias = context_bias
        """Of its plans (`BatchBuilder`)."""
        self.own_types = False
        """Whether steps compute in the model's own types even where whoever takes them has autocast on."""
        self._offset = position_offset(lm)
        self.kv_cache = KVCache(lm.config.num_hidden_layers, slots)
        self.windows = layer_windows(lm)
        self.overhead = 0.0
        """What a pass costs before its first token, in tokens of work."""
        self.price(fused=False)
        self.replays: Replays | None = None
        """The recorded steps, where they are asked for and can be."""
        if asked_for() and self.device.type == "cuda" and isinstance(backend, TritonAttention):
            self.record_by(CudaRecorder(self.device))
        use_engine_attention(lm)

    def price(self, *, fused: bool) -> None:
        """Says what a pass costs, by whether the model's small operators are fused."""
        weights, layers = weight_count(self._inner), self._inner.config.num_hidden_layers
        self.overhead = pass_overhead(self.device.type, weights, layers, fused=fused)

    def record_by(self, recorder: Recorder) -> Replays:
        """From now on steps that only ask questions are recorded and replayed; under the Triton backend only."""
        self.replays = Replays(self._forward, self.kv_cache, recorder, self._offset)
        return self.replays

    def builder(self) -> BatchBuilder:
        """For a step on this model, whose arrays travel to its device together."""
        return BatchBuilder(
            bidirectional=self.bidirectional,
            context_bias=self.context_bias,
            transfer=Transfer(self.device),
        )

    def hidden(self, batch: Batch) -> Tensor:
        """Hidden states after the final norm of the batch's read rows: [len(read_rows), D]."""
        with torch.inference_mode():
            transfer = batch.transfer or Transfer(self.device)
            if self.replays is not None:
                replayed = self._replayed(self.replays, batch)
                if replayed is not None:
                    transfer.send()
                    return replayed
            if self._most_rows is None:
                return self._pass(batch, transfer)
            return self._in_parts(batch, self._most_rows, transfer)

    def _in_parts(self, batch: Batch, most_rows: int, transfer: Transfer) -> Tensor:
        states: Tensor | None = None
        for part, read in in_parts(batch, most_rows):
            places = as_index(read, transfer)
            found = self._pass(part, transfer)
            if part is batch:
                return found
            if states is None:
                states = found.new_empty(len(batch.read_rows), found.shape[1])
            states[places] = found
        assert states is not None, "a step has rows"
        return states

    def _pass(self, batch: Batch, transfer: Transfer) -> Tensor:
        """One forward pass: hidden states of its read rows [reads, D]."""
        arrays = (batch.token_ids, batch.positions + self._offset, batch.read_rows)
        ids, positions, read = (transfer.add(array) for array in arrays)
        step = self.backend.prepare(batch, self.kv_cache, transfer, self.windows)
        transfer.send()
        return self._forward(ids, positions, read, step)

    def _replayed(self, replays: Replays, batch: Batch) -> Tensor | None:
        assert isinstance(self.backend, TritonAttention)
        windows = {window for window in self.windows if window is not None}
        cut = any(cut_chunks(batch, window).any() for window in windows)
        return replays.hidden(batch, self.backend.kinds, cut, self.device)

    def _forward(self, ids: Tensor, positions: Tensor, read: Tensor, step: StepAttention) -> Tensor:
        """ids, positions: [T]; read: [reads] → hidden states of those rows [reads, D]."""
        forward = ForwardPass(step, self.windows)
        output = self._inner(
            input_ids=ids[None], position_ids=positions[None], use_cache=False, rranker_step=forward
        )
        if not forward.served:
            raise UnsupportedModelError(
                f"{type(self._inner).__name__} computes attention in code of its own, not through transformers' "
                "attention functions, so the engine cannot drive it"
            )
        states: Tensor = output.last_hidden_state[0]
        return states.index_select(0, read)
