"""Distributions of synaptic weights: what every generator takes as `weights`.

Each is a small frozen dataclass whose ``draw(size, rng)`` returns that many independent weights; so
is any object of yours with such a method. The seed of the generator fixes the draws.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Real
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from graphbal.errors import InputError
from graphbal.network import SynapticNetwork

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Constant",
    "Gamma",
    "Gaussian",
    "LogNormal",
    "LogNormalCounts",
    "Poisson",
    "Resampled",
    "Weights",
]


@runtime_checkable
class Weights(Protocol):
    """Whatever draws weights: an object with the method ``draw(size, rng)``.

    Examples
    --------
    >>> from graphbal.ensembles import Constant, Weights
    >>> isinstance(Constant(1.0), Weights)
    True
    """

    def draw(self, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return `size` independent weights, finite, shape (size,)."""


@dataclass(frozen=True)
class Constant:
    """The same weight for every synapse: mean `value`, variance 0.

    Raises
    ------
    InputError
        If `value` is not a finite number other than 0.

    Examples
    --------
    >>> import numpy as np
    >>> Constant(2.0).draw(3, np.random.default_rng(0))
    array([2., 2., 2.])
    """

    value: float = 1.0

    def __post_init__(self) -> None:
        _require_finite(self)
        if self.value == 0:
            raise InputError("the constant weight is 0; a synapse needs another one")

    def draw(self, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return `size` weights, shape (size,)."""
        return np.full(size, float(self.value))


@dataclass(frozen=True)
class LogNormal:
    r"""Log-normal weights, log J ~ N(μ, σ²), as measured between cortical neurons [1]_.

    The mean is :math:`e^{\mu + \sigma^2/2}` and the variance
    :math:`(e^{\sigma^2} - 1)\, e^{2\mu + \sigma^2}`. The costs |J|ᵖ are log-normal as well, with
    log-costs of mean p μ and standard deviation p σ: ``LogNormal(0.5)``, the default of every
    generator, makes log-costs standard normal at p = 2.

    Parameters
    ----------
    sigma : float
        Standard deviation of the log-weights, at least 0.
    mu : float
        Their mean.

    Raises
    ------
    InputError
        If a parameter is not finite, or `sigma` is below 0.

    References
    ----------
    .. [1] S. Song et al., "Highly nonrandom features of synaptic connectivity in local cortical
       circuits", PLoS Biol 3(3): e68 (2005). https://doi.org/10.1371/journal.pbio.0030068

    Examples
    --------
    >>> import numpy as np
    >>> LogNormal(0.0).draw(3, np.random.default_rng(0))
    array([1., 1., 1.])
    """

    sigma: float = 0.5
    mu: float = 0.0

    def __post_init__(self) -> None:
        _require_finite(self, not_negative=("sigma",))

    def draw(self, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return `size` weights, shape (size,)."""
        values = rng.standard_normal(size)
        values *= self.sigma
        values += self.mu
        with np.errstate(over="ignore"):  # the network names the synapse whose weight is infinite
            return np.exp(values, out=values)


@dataclass(frozen=True)
class LogNormalCounts:
    r"""Heavy-tailed counts :math:`\lceil e^z \rceil` with z ~ N(μ, σ²): at least 1.

    A count is at most k with probability :math:`\Phi((\log k - \mu)/\sigma)`; the mean is
    :math:`1 + \sum_{k \ge 1} \Phi((\mu - \log k)/\sigma)`, 3.7 with the default, as between the
    neurons of the fly brain [1]_.

    Parameters
    ----------
    sigma : float
        Standard deviation of z, at least 0.
    mu : float
        Mean of z.

    Raises
    ------
    InputError
        If a parameter is not finite, or `sigma` is below 0.

    References
    ----------
    .. [1] S. Dorkenwald et al., "Neuronal wiring diagram of an adult brain", Nature 634: 124-138
       (2024). https://doi.org/10.1038/s41586-024-07558-y

    Examples
    --------
    >>> import numpy as np
    >>> LogNormalCounts().draw(8, np.random.default_rng(0))
    array([3., 2., 4., 3., 2., 3., 8., 5.])
    """

    sigma: float = 1.0
    mu: float = 0.65

    def __post_init__(self) -> None:
        _require_finite(self, not_negative=("sigma",))

    def draw(self, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return `size` weights, shape (size,)."""
        values = LogNormal(self.sigma, self.mu).draw(size, rng)
        np.ceil(values, out=values)
        return np.maximum(values, 1.0, out=values)  # e^z underflows where μ is far below 0


@dataclass(frozen=True)
class Gamma:
    """Gamma distributed weights of density ∝ x^(k−1) e^(−x/θ): mean k θ, variance k θ².

    Parameters
    ----------
    shape : float
        k, above 0.
    scale : float
        θ, above 0, in the units of the weights.

    Raises
    ------
    InputError
        If a parameter is not finite and above 0.

    Examples
    --------
    >>> import numpy as np
    >>> float(Gamma(2.0, 3.0).draw(100_000, np.random.default_rng(0)).mean().round(1))
    6.0
    """

    shape: float
    scale: float

    def __post_init__(self) -> None:
        _require_finite(self, positive=("shape", "scale"))

    def draw(self, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return `size` weights, shape (size,)."""
        return rng.gamma(self.shape, self.scale, size)


@dataclass(frozen=True)
class Gaussian:
    """Normal weights of either sign, J ~ N(mean, sd²).

    Parameters
    ----------
    mean : float
        Mean.
    sd : float
        Standard deviation, above 0.

    Raises
    ------
    InputError
        If a parameter is not finite, or `sd` is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> float(Gaussian(0.0, 2.0).draw(100_000, np.random.default_rng(0)).std().round(1))
    2.0
    """

    mean: float
    sd: float

    def __post_init__(self) -> None:
        _require_finite(self, positive=("sd",))

    def draw(self, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return `size` weights, shape (size,)."""
        return rng.normal(self.mean, self.sd, size)


@dataclass(frozen=True)
class Poisson:
    r"""Poisson counts of contacts, of those pairs that have at least one.

    P(k) = :math:`\lambda^k / ((e^\lambda - 1)\, k!)` for k ≥ 1: the mean is
    :math:`m = \lambda / (1 - e^{-\lambda})` and the variance :math:`m (1 + \lambda - m)`.

    Parameters
    ----------
    mean : float
        λ, the mean before pairs without a contact are left out; above 0.

    Raises
    ------
    InputError
        If `mean` is not finite and above 0.

    Notes
    -----
    Drawn as contacts in time: the first arrives at :math:`t < \lambda`, exponential given that,
    and Poisson(λ − t) more follow. Nothing is drawn in vain, however small λ is.

    Examples
    --------
    >>> import numpy as np
    >>> float(Poisson(0.01).draw(1000, np.random.default_rng(0)).min())
    1.0
    """

    mean: float

    def __post_init__(self) -> None:
        _require_finite(self, positive=("mean",))
        if self.mean > 1e15:
            raise InputError(f"mean is {self.mean!r}; counts above 1e15 are not exact")

    def draw(self, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return `size` weights, shape (size,)."""
        first = -np.log1p(rng.random(size) * np.expm1(-self.mean))
        return 1.0 + rng.poisson(np.maximum(self.mean - first, 0.0))


@dataclass(frozen=True, eq=False)
class Resampled:
    """Weights drawn from those of a network, each synapse equally likely, signs kept.

    The moments are those of the network's weights.

    Parameters
    ----------
    network : anything `graphbal.as_network` takes
        The network; self-connections count too.

    Raises
    ------
    InputError
        If the network cannot be read or has no synapse.

    Examples
    --------
    >>> import numpy as np
    >>> weights = Resampled("celegans").draw(1000, np.random.default_rng(0))
    >>> (weights == weights.round()).all()      # counts, as in the worm
    np.True_
    """

    network: Any

    def __post_init__(self) -> None:
        if not isinstance(self.network, SynapticNetwork):
            from graphbal.convert import as_network

            object.__setattr__(self, "network", as_network(self.network))
        if self.network.n_synapses == 0:
            raise InputError("the network to resample has no synapse, hence no weights")

    def draw(self, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return `size` weights, shape (size,)."""
        values = self.network.weights.data
        return values[rng.integers(values.size, size=size)].astype(np.float64, copy=False)


def _require_finite(
    weights: Any, positive: tuple[str, ...] = (), not_negative: tuple[str, ...] = ()
) -> None:
    """Refuse what is not a finite number, or is below the limit of its parameter."""
    for name in [field.name for field in fields(weights)]:
        value = getattr(weights, name)
        kind = type(weights).__name__
        if not (isinstance(value, Real) and np.isfinite(float(value))):
            raise InputError(f"{name} of {kind} is {value!r}; it must be a finite number")
        if (name in positive and value <= 0) or (name in not_negative and value < 0):
            limit = "above 0" if name in positive else "at least 0"
            raise InputError(f"{name} of {kind} is {value!r}; it must be {limit}")
