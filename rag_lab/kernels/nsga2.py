"""NSGA-II: an evolutionary search for the Pareto front over a box of continuous variables.

Deb, Pratap, Agarwal and Meyarivan 2002, IEEE Trans. Evol. Comput. 6(2): parents win binary tournaments by front
and crowding, children come from simulated binary crossover (Deb and Agrawal 1995, Complex Systems 9) and
polynomial mutation (Deb and Goyal 1996, Computer Science and Informatics 26), both in the form that keeps to the
bounds, and the best of parents and children together survive. Variables are shares of their range, in [0, 1]: what
they mean is up to the function that evaluates one individual. Objectives are minimised (see `pareto`).

`search` evaluates P · (G + 1) individuals. Shapes: P individuals (an even number), D variables, M objectives, G
generations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rag_lab.kernels.pareto import crowding, fronts

Evaluate = Callable[[Float[Array, " D"]], Float[Array, " M"]]
CROSSED = 0.5  # share of a pair's variables that crossover touches, as in the authors' program


class Operators(NamedTuple):
    """How children differ from their parents.

    crossover: chance that a pair is crossed at all; mutation: chance of each variable; the indexes η say how near
    to the parents children stay: the larger, the nearer.
    """

    crossover: float
    crossover_index: float
    mutation: float
    mutation_index: float


class Population(NamedTuple):
    """Individuals with what selects among them: the front (0 is best) and the crowding distance within it."""

    genes: Float[Array, "P D"]
    objectives: Float[Array, "P M"]
    front: Int[Array, " P"]
    crowding: Float[Array, " P"]


def init(key: Array, evaluate: Evaluate, individuals: int, variables: int) -> Population:
    """Individuals spread evenly at random."""
    genes = jax.random.uniform(key, (individuals, variables))
    return _ranked(genes, jax.vmap(evaluate)(genes))


def step(key: Array, population: Population, evaluate: Evaluate, operators: Operators) -> Population:
    """One generation: as many children as parents, and the better half of both."""
    select, cross, mutate = jax.random.split(key, 3)
    count = population.genes.shape[0]
    pairs = population.genes[tournaments(select, population)].reshape(count // 2, 2, -1)
    children = jax.vmap(crossover, in_axes=(0, 0, None))(jax.random.split(cross, count // 2), pairs, operators)
    children = children.reshape(count, -1)
    children = jax.vmap(mutation, in_axes=(0, 0, None))(jax.random.split(mutate, count), children, operators)
    both = _ranked(
        jnp.concatenate([population.genes, children]),
        jnp.concatenate([population.objectives, jax.vmap(evaluate)(children)]),
    )
    best = jnp.lexsort((-both.crowding, both.front))[:count]
    return jax.tree.map(lambda each: each[best], both)


def search(
    key: Array, evaluate: Evaluate, individuals: int, variables: int, generations: int, operators: Operators
) -> Population:
    """The population after so many generations; all but `key` are static."""
    first, later = jax.random.split(key)

    def go(population: Population, key: Array) -> tuple[Population, None]:
        return step(key, population, evaluate, operators), None

    start = init(first, evaluate, individuals, variables)
    return jax.lax.scan(go, start, jax.random.split(later, generations))[0]


def tournaments(key: Array, population: Population) -> Int[Array, " P"]:
    """Winners of P tournaments; everyone plays two. The earlier front wins, then the less crowded."""
    count = population.front.shape[0]
    rounds = jax.vmap(lambda key: jax.random.permutation(key, count))(jax.random.split(key))
    one, other = rounds.reshape(-1, 2).T
    front, apart = population.front, population.crowding
    wins = (front[other] < front[one]) | ((front[other] == front[one]) & (apart[other] > apart[one]))
    return jnp.where(wins, other, one)


def crossover(key: Array, pair: Float[Array, "2 D"], operators: Operators) -> Float[Array, "2 D"]:
    """Two children around their parents, within [0, 1]; variables in which the parents agree stay as they are."""
    u, which, swap, whether = jax.random.uniform(key, (4, pair.shape[1]))
    low, high = pair.min(axis=0), pair.max(axis=0)
    distance = high - low
    power = operators.crossover_index + 1

    def reach(room: Float[Array, " D"]) -> Float[Array, " D"]:
        """The spread factor β on the side where a bound leaves so much room."""
        alpha = 2 - (1 + 2 * room / jnp.where(distance > 0, distance, 1)) ** -power
        return jnp.where(u * alpha <= 1, u * alpha, 1 / (2 - u * alpha)) ** (1 / power)

    lower = (low + high - reach(low) * distance) / 2
    upper = (low + high + reach(1 - high) * distance) / 2
    crossed = jnp.where(swap < 0.5, jnp.stack([lower, upper]), jnp.stack([upper, lower]))
    touched = (which < CROSSED) & (whether[0] < operators.crossover)
    return jnp.where(touched & (distance > 0), jnp.clip(crossed, 0, 1), pair)


def mutation(key: Array, genes: Float[Array, " D"], operators: Operators) -> Float[Array, " D"]:
    """The individual with each variable moved by chance, within [0, 1]."""
    u, which = jax.random.uniform(key, (2, *genes.shape))
    power = operators.mutation_index + 1
    down = (2 * u + (1 - 2 * u) * (1 - genes) ** power) ** (1 / power) - 1
    up = 1 - (2 * (1 - u) + (2 * u - 1) * genes**power) ** (1 / power)
    moved = jnp.clip(genes + jnp.where(u < 0.5, down, up), 0, 1)
    return jnp.where(which < operators.mutation, moved, genes)


def _ranked(genes: Float[Array, "P D"], objectives: Float[Array, "P M"]) -> Population:
    everyone: Bool[Array, " P"] = jnp.ones(genes.shape[0], bool)
    front = fronts(objectives, everyone)
    return Population(genes, objectives, front, crowding(objectives, front))
