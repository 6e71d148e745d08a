"""Steps of a pre-training, its checkpoints and its held-out scores.

Every step draws its crops and masks from the seed and its own number, so that a resumed training is the same training;
only a schedule that follows the clock (``hours``) cannot be repeated to the bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from labtune.data.batching import stable_seed
from labtune.errors import TrainingError
from labtune.pretraining.corpus import Corpus
from labtune.pretraining.masking import Masked, Masking
from labtune.pretraining.objective import MaskedLanguageModel
from labtune.pretraining.outcome import PretrainFolder, perplexity
from labtune.pretraining.settings import PretrainSettings
from labtune.training.checkpoints import Progress, load_checkpoint, restore_optimizer, save_checkpoint
from labtune.training.interrupts import StopRequest
from labtune.training.journal import Journal
from labtune.training.steps import seed_step

VALID_TOKENS = 1 << 15  # held-out tokens, always the same ones under the same masks
BETAS = (0.9, 0.98)  # as RoBERTa: steadier than 0.999 where the loss falls fast


class Loop:
    """Steps, checkpoints and held-out perplexity."""

    def __init__(
        self,
        settings: PretrainSettings,
        model: MaskedLanguageModel,
        corpora: dict[str, Corpus],
        masking: Masking,
        accelerator: Accelerator,
    ) -> None:
        self.settings = settings
        self.model = model
        self.corpora = corpora
        self.masking = masking
        self.accelerator = accelerator
        self.progress = Progress()
        self.optimizer = _optimizer(model, settings)
        rng = np.random.default_rng(stable_seed("valid", settings.seed))
        self.valid = list(self._masked("valid", rng, settings.crop, VALID_TOKENS))

    def run(self, folder: PretrainFolder, *, resume: bool) -> list[dict[str, float]]:
        """Train to the end and return the curve of held-out perplexity."""
        settings, accelerator = self.settings, self.accelerator
        if resume:
            self._restore(folder)
        total = None if settings.hours else settings.steps
        journal = Journal(folder.log if accelerator.is_main_process else None, total=total, start=self.progress.step)
        curve = folder.curve(self.progress.step)
        wrapped, optimizer = accelerator.prepare(self.model, self.optimizer)
        base, began = self.progress.seconds, time.perf_counter()
        batches = self._draw()
        with StopRequest(folder.path, "pretrain TASK FILE…") as stop:
            while (share := self._share_done()) < 1:
                rate = settings.learning_rate * rate_factor(self.progress.step, share, settings)
                mean = self._step(wrapped, optimizer, rate, batches)
                tokens = sum(len(batch.tokens.values) for batch in batches) * accelerator.num_processes
                self.progress.step += 1
                self.progress.tokens += tokens
                batches = self._draw()  # while an accelerator is still at the step before
                loss = float(mean)
                if not math.isfinite(loss):
                    raise TrainingError(f"the loss is {loss} at step {self.progress.step}; try a smaller learning rate")
                self.progress.seconds = base + time.perf_counter() - began
                journal.step(self.progress.step, loss=loss, learning_rate=rate, tokens=tokens)
                ended = self._share_done() >= 1
                if ended or self.progress.step % settings.valid_every == 0:
                    curve.append(self._score(journal))
                if ended or stop.requested or self.progress.step % settings.checkpoint_every == 0:
                    self._save(folder)
                stop.obey()
        journal.close()
        return curve

    def _share_done(self) -> float:
        """Share of the training that is done; by the clock of the first process when it is the clock that counts."""
        if not self.settings.hours:
            return self.progress.step / self.settings.steps
        share = torch.tensor(self.progress.seconds / (3600 * self.settings.hours), device=self.accelerator.device)
        return float(self.accelerator.reduce(share, "mean"))

    def _crop(self, share: float) -> int:
        return self.settings.long_crop if share >= 1 - self.settings.long_share else self.settings.crop

    def _masked(self, part: str, rng: np.random.Generator, crop: int, tokens: int) -> Iterator[Masked]:
        """Draw and mask batches that add up to a number of tokens."""
        size = self.settings.batch_tokens
        for begin in range(0, tokens, size):
            corpus = self.corpora[part]
            draw = corpus.draw if self.settings.pairs == "none" else corpus.draw_pairs
            yield self.masking(draw(rng, crop=crop, budget=min(size, tokens - begin)), rng)

    def _draw(self) -> list[Masked]:
        """Draw what the next step learns from."""
        settings, accelerator = self.settings, self.accelerator
        place = (settings.seed, self.progress.step, accelerator.process_index)
        rng = np.random.default_rng(stable_seed("pretrain", *place))
        crop = self._crop(self._share_done())
        return list(self._masked("train", rng, crop, settings.step_tokens // accelerator.num_processes))

    def _step(self, model: Any, optimizer: Any, rate: float, batches: Sequence[Masked]) -> Tensor:
        """Learn from one step's batches; the mean loss stays on the device."""
        settings, accelerator = self.settings, self.accelerator
        seed_step(settings.seed, self.progress.step, accelerator.process_index)
        hidden = sum(len(batch.truth) for batch in batches)
        total = torch.zeros((), device=accelerator.device)
        model.train()
        for batch in batches:
            loss = model(batch.to(accelerator.device)) / hidden
            accelerator.backward(loss)
            total += loss.detach()
        accelerator.clip_grad_norm_(self.model.parameters(), settings.clip or math.inf)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        mean: Tensor = accelerator.reduce(total, "mean")
        return mean

    def _score(self, journal: Journal) -> dict[str, float]:
        with self.accelerator.autocast():
            found = perplexity(self.model, (batch.to(self.accelerator.device) for batch in self.valid))
        progress = self.progress
        shares = "".join(f"  {name} {value:.4f}" for name, value in found.items() if name != "perplexity")
        journal.event(
            "valid",
            f"step {progress.step}  perplexity {found['perplexity']:.3f}{shares}",
            step=progress.step,
            tokens=progress.tokens,
            seconds=progress.seconds,
            **found,
        )
        return {"step": progress.step, "tokens": progress.tokens, "seconds": progress.seconds, **found}

    def _save(self, folder: PretrainFolder) -> None:
        if self.accelerator.is_main_process:
            save_checkpoint(folder.checkpoints, self.model.state_dict(), self.optimizer, self.progress)
        self.accelerator.wait_for_everyone()

    def _restore(self, folder: PretrainFolder) -> None:
        found = load_checkpoint(folder.checkpoints)
        if found is not None:
            weights, arrays, scalars, self.progress = found
            self.model.load_state_dict(weights)
            restore_optimizer(self.optimizer, arrays, scalars)


def rate_factor(step: int, share: float, settings: PretrainSettings) -> float:
    """Factor of the learning rate at a step, when a share of the training is done."""
    rising = min((step + 1) / (settings.warmup + 1), 1.0)
    falling = min((1 - share) / settings.cooldown, 1.0) if settings.cooldown else 1.0
    return min(rising, falling)


def _optimizer(model: MaskedLanguageModel, settings: PretrainSettings) -> torch.optim.Optimizer:
    """AdamW; weight decay spares vectors: biases and the gains of norms."""
    parameters = list(model.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=BETAS, fused=True)
