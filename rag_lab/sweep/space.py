"""The search space: overrides in Hydra's grammar, parted into fixed ones and dimensions of Optuna's.

| Hydra's                   | Optuna's                                                          |
| ------------------------- | ----------------------------------------------------------------- |
| interval(0.1, 50)         | a float between the two, both included                            |
| int(interval(1, 8))       | an integer between the two, both included                         |
| range(1, 9, 2)            | an integer, or a float, among those that Hydra would run in turn  |
| choice(a, b) or a,b       | one of them; so is a group's variants by glob(*)                  |
| tag(log, …)               | on a logarithmic scale, for intervals and ranges of step 1        |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rag_lab.errors import ConfigError

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.override_parser.types import Override
    from optuna.distributions import BaseDistribution

DIGITS = 12  # of a float on a grid: beyond them stands the noise of its multiplication


class Dimension(NamedTuple):
    """key: as an override writes it, with its plus where it has one. text: its mark, in Hydra's grammar."""

    key: str
    text: str
    distribution: BaseDistribution


class Space(NamedTuple):
    """fixed: overrides of every job. dimensions: by key, without a plus."""

    fixed: tuple[str, ...]
    dimensions: Mapping[str, Dimension]

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """What Optuna chooses from."""
        return {name: one.distribution for name, one in self.dimensions.items()}

    def chosen(self, params: Mapping[str, Any]) -> list[str]:
        """A trial's parameters as overrides."""
        return [f"{one.key}={_text(params[name], one.distribution)}" for name, one in self.dimensions.items()]

    def lasting(self, params: Mapping[str, Any]) -> list[str]:
        """The same, behind the choices of the groups that they are settings of: what another run takes."""
        groups = {name.partition(".")[0] for name in self.dimensions}
        return [one for one in self.fixed if one.partition("=")[0].lstrip("+") in groups] + self.chosen(params)

    def first(self) -> dict[str, Any]:
        """Some parameters that the space holds."""
        return {
            name: one.distribution.to_external_repr(getattr(one.distribution, "low", 0))
            for name, one in self.dimensions.items()
        }


def read(params: Mapping[str, Any], arguments: Sequence[str], loader: ConfigLoader | None) -> Space:
    """The space of these parameters (key: mark or value) and the command line's, which win.

    loader: knows a group's variants. ConfigError where nothing is to be searched, or a mark makes no sense.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create(config_loader=loader)
    given = parser.parse_overrides([*(f"{key}={value}" for key, value in params.items()), *arguments])
    last = {(one.key_or_group, one.package): one for one in given}
    dimensions = {
        one.key_or_group: Dimension(one.get_key_element(), str(one.input_line).partition("=")[2], _parsed(one))
        for one in last.values()
        if one.is_sweep_override()
    }
    if not dimensions:
        raise ConfigError(
            "hydra/sweeper=optuna: nothing to search; mark a value, as in "
            "'policy.prior_strength=interval(0.1,50)', or name a space, as in +search/space=thompson"
        )
    return Space(tuple(_written(one) for one in last.values() if not one.is_sweep_override()), dimensions)


def _written(override: Override) -> str:
    key = override.get_key_element()
    return key if override.value_type is None else f"{key}={override.get_value_element_as_str()}"


def _parsed(override: Override) -> BaseDistribution:
    """The distribution that a marked override means."""
    sweep: Any = override.value()
    tags: set[str] = getattr(sweep, "tags", set())
    try:
        if tags - {"log"}:
            raise ValueError(f"tag '{min(tags - {'log'})}' is not known; allowed: log")
        return _distribution(override, sweep, log="log" in tags)
    except ValueError as error:
        reason = " ".join(str(error).replace("`", "").split()).rstrip(".")
        raise ConfigError(f"{override.input_line}: {reason[:1].lower()}{reason[1:]}") from error


def _distribution(override: Override, sweep: Any, *, log: bool) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if override.is_interval_sweep():
        kind = IntDistribution if isinstance(sweep.start, int) else FloatDistribution
        return kind(sweep.start, sweep.end, log=log)
    if override.is_range_sweep():
        values = sorted(sweep.range())
        if not values:
            raise ValueError("holds no value")
        whole = isinstance(values[0], int)
        if log and not (whole and abs(sweep.step) == 1):
            raise ValueError("on a log scale a range is of integers, with step 1; or mark an interval")
        if whole:
            return IntDistribution(values[0], values[-1], log=log, step=abs(sweep.step))
        low, high = (round(float(value), DIGITS) for value in (values[0], values[-1]))
        return FloatDistribution(low, high, step=abs(float(sweep.step)))
    if log:
        raise ValueError("a choice cannot be on a log scale; mark an interval or a range")
    if getattr(sweep, "shuffle", False):
        sweep.shuffle = False  # an order means nothing to a sampler, but it must be the same when a study goes on
    return CategoricalDistribution(list(dict.fromkeys(override.sweep_string_iterator())))


def _text(value: Any, distribution: BaseDistribution) -> str:
    """A value as an override writes it. Choices are kept as they were written."""
    on_grid = isinstance(value, float) and getattr(distribution, "step", None) is not None
    return value if isinstance(value, str) else repr(round(value, DIGITS) if on_grid else value)
