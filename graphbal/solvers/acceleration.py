"""Anderson's acceleration: balance all neurons at once, one edge pass a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from graphbal.engines import Engine, State
from graphbal.engines.local import in_tiles, suits_blas
from graphbal.solvers._problem import SMALLEST, WIDE, History, Problem, span

if TYPE_CHECKING:
    from graphbal.engines._tiles import Tiles

__all__ = ["accelerated", "half_log_ratio", "strongest"]

Array = NDArray[np.float64]

# Moves that are remembered. On connectomes three need one or two passes more, eight save none.
WINDOW = 5
# Steps within which the largest of u must halve.
TRIAL = 5
# The share of the synapses, the strongest ones, that the preconditioner is made of.
STRONG = 0.05


def accelerated(
    problem: Problem,
    engine: Engine,
    state: State,
    tol: float,
    max_steps: int,
    history: History,
    before: State | None = None,
) -> tuple[State, float]:
    r"""Balance from a state on; return a state and the estimated error of its potentials.

    A neuron whose neighbours stay where they are is balanced by a step of
    :math:`u = \frac12 \log(in/out)`. Close to the equilibrium q*, u is
    :math:`D^{-1} L (q^* - q)` with D the diagonal of L, and its changes along the last moves tell
    how far each of these should still go. The part of u that they account for is taken from them;
    the rest, orthogonal to the moves, is preconditioned and added [1]_. So each pass serves as a
    state and as a product with the Laplacian, and on a quadratic cost the steps would be those of
    conjugate gradients. The way to the state from one `before` counts as a move. Networks in
    partitions and full ones have no preconditioner.

    The error is the imbalance over the smallest Ritz value of D⁻¹ L on the moves. It is infinite if
    progress became too slow to go on; the state is then the one of lowest cost.

    References
    ----------
    .. [1] H. Fang, Y. Saad, "Two classes of multisecant methods for nonlinear acceleration",
       Numer Linear Algebra Appl 16(3): 197-221 (2009). https://doi.org/10.1002/nla.617
    """
    from graphbal.solvers import _anderson

    n, strong = problem.n, None
    # Over a full matrix the passes that it saves take less time than to pick the strongest.
    if isinstance(problem, Problem) and not suits_blas(n, problem.n_synapses):
        strong = strongest(problem, state)
    moves = _Moves(state.through)
    move, rest, pairs = np.empty(n), np.empty(n), np.empty((2, n))
    nothing = np.zeros((2, n))
    lowest = state
    u = half_log_ratio(state)
    if before is not None:
        moves.note(before.q, state.q, half_log_ratio(before), u)
    largest = [_largest(u)]
    for step in range(max_steps):
        history.record(state.neuron_imbalance, state.total_cost, engine.n_passes)
        try:
            further = moves.further()
        except np.linalg.LinAlgError:  # no move at all
            break
        _anderson.reduce(u, further, moves.changes, state.gain, state.loss, rest, pairs)
        reached = nothing if strong is None else strong.products(*pairs)
        scales = state.gain, state.loss, state.through
        _anderson.extend(rest, *reached, *scales, further, moves.moves, move)
        q = problem.centred(np.add(state.q, move, out=move))
        if span(q) > WIDE:
            break
        left, u_left = state.q, u
        state = engine.at(q)
        u = half_log_ratio(state)
        moves.note(left, q, u_left, u)
        if state.total_cost <= lowest.total_cost:
            lowest = state
        imbalance = state.neuron_imbalance
        if imbalance <= tol:
            ritz = moves.smallest_ritz_value()
            if imbalance <= 10 * tol * ritz:
                return state, imbalance / ritz
        largest.append(_largest(u))
        if step >= TRIAL and largest[-1] > 0.5 * largest[-1 - TRIAL]:
            break
    return lowest, np.inf


class _Moves:
    """The last moves of the potentials, the changes of u along them, and products of both.

    Parameters
    ----------
    weights : array, shape (n,)
        D, the diagonal of the Laplacian, which is not renewed.
    """

    def __init__(self, weights: Array) -> None:
        self.weights = weights
        # Directions need not be known to the last digit: in single precision they are read faster.
        self.moves, self.changes = np.zeros((2, WINDOW, weights.size), dtype=np.float32)
        # move_i · D change_j, which is symmetric but for terms of second order, and move_i · D u.
        self._curvatures, self._slopes = np.zeros((WINDOW, WINDOW)), np.zeros(WINDOW)
        self._number = 0

    def note(self, left: Array, reached: Array, u_left: Array, u: Array) -> None:
        """Note a move in place of the oldest, and u before and after it."""
        from graphbal.solvers._anderson import observe

        latest = self._number % WINDOW
        np.subtract(reached, left, out=self.moves[latest], casting="same_kind")
        products = observe(u_left, u, self.weights, self.moves, self.changes, latest)
        self._slopes[latest] = products[-1]
        curvatures = self._slopes - products[:-1]
        self._curvatures[latest] = self._curvatures[:, latest] = curvatures
        self._slopes = products[:-1]
        self._number += 1

    def further(self) -> Array:
        """Return how much further each of the moves should go."""
        held = self._held
        return np.linalg.solve(self._curvatures[held, held], self._slopes[held]).astype(float)

    def smallest_ritz_value(self) -> float:
        """Return the smallest Ritz value of D⁻¹ L on the moves."""
        from graphbal.solvers._anderson import gram

        held = self._held
        products = gram(self.moves[held], self.weights)
        size = np.sqrt(np.maximum(products.diagonal(), SMALLEST))
        scale = np.outer(size, size)
        try:
            factor = np.linalg.cholesky(products / scale)
            half = np.linalg.solve(factor, self._curvatures[held, held] / scale)
            values = np.linalg.eigvalsh(np.linalg.solve(factor, half.T))
        except np.linalg.LinAlgError:  # moves that are parallel, or no move at all
            return SMALLEST
        return max(float(values[0]), SMALLEST)

    @property
    def _held(self) -> slice:
        return slice(min(self._number, WINDOW))


def half_log_ratio(state: State) -> Array:
    """Return ½ log(in/out), the step that balances each neuron among unmoved neighbours."""
    if state.neuron_imbalance <= 1 / 8:
        from graphbal.solvers._anderson import half_log_ratios

        step = np.empty_like(state.q)
        half_log_ratios(state.incoming, state.outgoing, state.through, step)
        return step
    with np.errstate(divide="ignore", invalid="ignore"):
        step = state.incoming / state.outgoing
        np.log(step, out=step)
    if not np.isfinite(step.sum()):  # neurons without inputs or outputs
        step[~np.isfinite(step)] = 0.0
    step *= 0.5
    return step


def strongest(problem: Problem, state: State) -> Tiles:
    r"""Return the synapses that precondition: S, the strongest twentieth of C.

    A rest r becomes :math:`r + D^{-1} (S + S^⊤) r`. The eigenvalues of D⁻¹ L far from 1 are due to
    few synapses, those that are strong beside what their neurons pass on in all,
    c_ij / √(D_i D_j), c at the state. If S were all of C, an eigenvalue 1 − λ would become 1 − λ²;
    with a twentieth of it the extreme ones nearly do, for an eighth of a pass.
    (1 + D⁻¹ (S + S^⊤)) D⁻¹ is positive, as D exceeds the row sums of S + S^⊤.
    """
    scale = 1 / np.sqrt(state.through)
    left, right = state.loss * scale, state.gain * scale
    bases, m = problem.bases, problem.n_synapses
    sample = np.arange(0, m, max(m // 20_000, 1))
    post = np.searchsorted(bases.indptr, sample, side="right") - 1
    costs = np.abs(bases.data[sample]) ** problem.power
    strengths = costs * left[post] * right[bases.indices[sample]]
    enough = np.quantile(strengths, 1 - STRONG) / left
    return (state.engine.tiles or in_tiles(problem.costs)).above(right, enough, 2 * STRONG)


def _largest(x: Array) -> float:
    return float(max(x.max(), -x.min()))
