"""A second implementation, in plain NumPy and Python: slow, float64, one query or one step at a time.

Written from the written protocol alone, so that it shares no mistake with the package; it imports nothing
from rag_lab. Source of each rule: the section of the protocol that the docstring names, or the paper.
Passages are known by their row in the corpus; a qrel maps a row (or any id) to its grade. A value that does
not exist is NaN, never 0. Costs are in USD.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import bm25s
import numpy as np
from scipy.special import erf
from tokenizers import Tokenizer

K1, B = 1.5, 0.75  # protocol: BM25
CUT = 10  # every ranking metric is read at ten
EMBEDDING_USD_PER_TOKEN = 0.02e-6
LEXICAL_SEARCH_USD, VECTOR_SEARCH_USD = 2e-6, 5e-6
ENCODED_TOKENS = 256
LAYER_NORM_EPSILON = 1e-12

Qrel = Mapping[Any, int]


# Text, retrieval, scores


def words(texts: Sequence[str]) -> list[list[str]]:
    """Text -> the words that BM25 sees (protocol: bm25s' English stop words, no stemming)."""
    return bm25s.tokenize(list(texts), stopwords="en", return_ids=False, show_progress=False)


def bm25_scores(query: str, passages_texts: Sequence[str]) -> np.ndarray:
    """[passages] BM25 of each passage (protocol: BM25, method lucene; Robertson and Zaragoza, 2009)."""
    return bm25_of_words(words([query])[0], [Counter(passage) for passage in words(passages_texts)])


def bm25_of_words(query: Sequence[str], passages: Sequence[Mapping[str, int]]) -> np.ndarray:
    """[passages] BM25 from word counts; a word that the query repeats counts each time."""
    lengths = [sum(passage.values()) for passage in passages]
    average = sum(lengths) / len(lengths)
    scores = np.zeros(len(passages))
    for word in query:
        df = sum(word in passage for passage in passages)
        idf = math.log(1 + (len(passages) - df + 0.5) / (df + 0.5))
        for row, passage in enumerate(passages):
            if word in passage:
                tf = passage[word]
                scores[row] += idf * tf / (tf + K1 * (1 - B + B * lengths[row] / average))
    return scores


def top(scores: np.ndarray, size: int) -> list[int]:
    """The rows of the `size` highest scores, best first, ties by corpus order; a score of zero counts."""
    return sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:size]


def pool(bm25: np.ndarray, dense: np.ndarray, size: int) -> list[int]:
    """Rows of the candidates, in corpus order (protocol: BM25 top ∪ dense top)."""
    return sorted(set(top(bm25, size)) | set(top(dense, size)))


def min_max(scores: np.ndarray) -> np.ndarray:
    """Scores from 0 to 1 over the pool (protocol: a constant list becomes 0)."""
    scores = np.asarray(scores, np.float64)
    if len(scores) == 0 or scores.min() == scores.max():
        return np.zeros(len(scores))
    return (scores - scores.min()) / (scores.max() - scores.min())


def fuse(bm25: np.ndarray, dense: np.ndarray, alpha: float) -> np.ndarray:
    """α·BM25 + β·vector, β = 1 − α, of one pool's raw scores (protocol: score)."""
    return alpha * min_max(bm25) + (1 - alpha) * min_max(dense)


def ranking(pool: Sequence[int], fused: np.ndarray) -> list[int]:
    """The pool's rows, best first (protocol: ties by corpus order, which is the pool's)."""
    return [pool[place] for place in top(fused, len(pool))]


# Actions: a second search, other fusions, late interaction


def evidence(pool: Sequence[int], bm25: np.ndarray, dense: np.ndarray, count: int) -> tuple[list[int], np.ndarray]:
    """The first round's best rows, best first, and their scores at α = 0.5. bm25, dense: of the whole corpus."""
    fused = fuse(bm25[pool], dense[pool], 0.5)
    best = top(fused, count)
    return [pool[place] for place in best], fused[best]


def rocchio(query: np.ndarray, vectors: np.ndarray, weight: float) -> np.ndarray:
    """unit(query + weight · mean of the evidence's vectors) (Rocchio, 1971)."""
    moved = np.asarray(query, np.float64) + weight * np.mean(np.asarray(vectors, np.float64), axis=0)
    return moved / np.linalg.norm(moved)


def rm3(
    query: Sequence[str], found: Sequence[Sequence[str]], scores: np.ndarray, terms: int, original: float
) -> dict[str, float]:
    """Word -> weight: P'(w) = λ P(w|query) + (1 − λ) P(w|R) (Lavrenko and Croft, 2001; Abdul-Jaleel et al., 2004).

    query: its words that some passage holds. found: the evidence's words. P(w|R): each passage's share of w,
    weighted by the passages' scores (alike if all are 0), cut to the first `terms` words (ties: alphabetical) and
    made a distribution again. Times the query's length, at least 1, so that λ = 1 is the query itself.
    """
    weights = scores / scores.sum() if scores.sum() > 0 else np.ones(len(found)) / len(found)
    model: dict[str, float] = {}
    for passage, weight in zip(found, weights, strict=True):
        for word in passage:
            model[word] = model.get(word, 0.0) + weight / len(passage)
    kept = sorted(model.items(), key=lambda item: (-round(item[1], 12), item[0]))[:terms]
    mass, length = sum(share for _, share in kept), max(len(query), 1)
    out = {word: original * query.count(word) for word in query}
    for word, share in kept:
        out[word] = out.get(word, 0.0) + (1 - original) * length * share / mass
    return {word: weight for word, weight in out.items() if weight > 0}


def bm25_of_weights(weights: Mapping[str, float], passages: Sequence[Mapping[str, int]]) -> np.ndarray:
    """[passages] BM25 where each word's part counts by its weight."""
    return sum((weight * bm25_of_words([word], passages) for word, weight in weights.items()), np.zeros(len(passages)))


def search(
    expansion: str, query: Sequence[str], vector: np.ndarray, held: Sequence[Sequence[str]], vectors: np.ndarray,
    pool_size: int, count: int, weight: float, terms: int, original: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """[passages] BM25 and [passages] cosine of the round that an action looks at: the first, or an expansion's.

    query: its words; held: the passages'. count: passages of evidence; weight: Rocchio's; terms, original: RM3's.
    """
    passages = [Counter(words) for words in held]
    known = [word for word in query if any(word in passage for passage in passages)]
    vectors, vector = np.asarray(vectors, np.float64), np.asarray(vector, np.float64)
    bm25, dense = bm25_of_words(known, passages), vectors @ vector
    if expansion == "none":
        return bm25, dense
    best, scores = evidence(pool(bm25, dense, pool_size), bm25, dense, count)
    if expansion == "rocchio":
        return bm25, vectors @ rocchio(vector, vectors[best], weight)
    return bm25_of_weights(rm3(known, [held[row] for row in best], scores, terms, original), passages), dense


def places(scores: np.ndarray) -> np.ndarray:
    """[passages] each one's rank, from 1; ties by corpus order."""
    out = np.empty(len(scores), int)
    out[top(scores, len(scores))] = np.arange(1, len(scores) + 1)
    return out


def maxsim(query: np.ndarray, passage: np.ndarray) -> float:
    """The mean over a query's tokens of the best cosine to one of the passage's (Khattab and Zaharia, 2020)."""
    query, passage = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (query, passage))
    return float((query @ passage.T).max(axis=1).mean())


def act(
    bm25: np.ndarray, dense: np.ndarray, late: np.ndarray | None, alpha: float, by_rank: bool, weight: float,
    depth: int, k: float,
) -> np.ndarray:  # fmt: skip
    """[pool] the final scores of one pool by one action; −inf where the action's depth leaves a passage out.

    late: not looked at where its weight is 0. k: of reciprocal rank fusion (Cormack et al., 2009).
    """
    ranks = places(bm25), places(dense)
    part = (ranks[0] <= depth) | (ranks[1] <= depth)
    if by_rank:
        fused = min_max((alpha / (k + ranks[0]) + (1 - alpha) / (k + ranks[1]))[part])
    else:
        fused = fuse(bm25[part], dense[part], alpha)
    out = np.full(len(bm25), -math.inf)
    out[part] = (1 - weight) * fused + weight * min_max(late[part]) if weight > 0 and late is not None else fused
    return out


def signals(
    bm25: np.ndarray, dense: np.ndarray, query: Sequence[str], df: Mapping[str, int], passages: int
) -> dict[str, float]:
    """What is known of a query before feedback, by name; bm25, dense: of its pool; df: of the known words."""

    def shape(name: str, scores: np.ndarray, unit: float) -> dict[str, float]:
        best = np.sort(scores)[::-1]
        return {
            f"{name}_top": best[0],
            f"{name}_gap_2": (best[0] - best[min(1, len(best) - 1)]) / unit,
            f"{name}_gap_10": (best[0] - best[min(9, len(best) - 1)]) / unit,
            f"{name}_spread": scores.std() / unit,
        }

    def shared(depth: int) -> float:
        return len(set(top(bm25, depth)) & set(top(dense, depth))) / min(depth, len(bm25))

    ranks = places(bm25), places(dense)
    idf = [math.log(1 + (passages - df[word] + 0.5) / (df[word] + 0.5)) for word in query if word in df]
    return {
        **shape("lexical", bm25, bm25.max() if bm25.max() > 0 else 1.0),
        **shape("dense", dense, 1.0),
        "overlap_10": shared(10),
        "overlap_100": shared(100),
        "agreement": np.corrcoef(*ranks)[0, 1] if len(bm25) > 1 else 0.0,
        "dense_of_lexical_best": min_max(dense)[ranks[0] == 1].item(),
        "lexical_of_dense_best": min_max(bm25)[ranks[1] == 1].item(),
        "matches": (bm25 > 0).mean(),
        "words": len(query),
        "known": len(idf) / len(query) if query else 0.0,
        "idf_mean": sum(idf) / len(idf) if idf else 0.0,
        "idf_max": max(idf, default=0.0),
        "lexical_relative": bm25.max() / sum(idf) if idf else 0.0,
    }


# Metrics


def recall_at(ranked_ids: Sequence[Hashable], qrel: Qrel, k: int) -> float:
    """Share of the relevant that is among the first k (protocol: grade > 0 counts); NaN if none is."""
    relevant = {id for id, grade in qrel.items() if grade > 0}
    return len(relevant & set(ranked_ids[:k])) / len(relevant) if relevant else math.nan


def ndcg_at(ranked_ids: Sequence[Hashable], qrel: Qrel, k: int) -> float:
    """nDCG@k (protocol: gain = grade, log2 discount), ideal over all judged grades; NaN if none is > 0."""

    def dcg(grades: Sequence[int]) -> float:
        return sum(max(grade, 0) / math.log2(rank + 1) for rank, grade in enumerate(grades[:k], start=1))

    ideal = dcg(sorted(qrel.values(), reverse=True))
    return dcg([qrel.get(id, 0) for id in ranked_ids]) / ideal if ideal else math.nan


def mrr_at(ranked_ids: Sequence[Hashable], qrel: Qrel, k: int) -> float:
    """1 / rank of the first relevant passage (protocol: grade > 0), 0 if past k; NaN if none is relevant."""
    if not any(grade > 0 for grade in qrel.values()):
        return math.nan
    return next((1 / rank for rank, id in enumerate(ranked_ids[:k], 1) if qrel.get(id, 0) > 0), 0.0)


def retrieval_cost_usd(alpha: float, query_tokens: int, expansion: str = "none", late: float = 0) -> float:
    """USD of one retrieval (protocol: prices; α saves only at 0 and at 1; an expansion costs a second search).

    An expansion reads a whole first round, and late interaction both rankers' passages, so with them α saves
    nothing.
    """
    whole = expansion != "none" or late > 0
    lexical = LEXICAL_SEARCH_USD * (int(alpha != 0 or whole) + int(expansion == "rm3"))
    vector = VECTOR_SEARCH_USD * (int(alpha != 1 or whole) + int(expansion == "rocchio"))
    return lexical + vector + (query_tokens * EMBEDDING_USD_PER_TOKEN if vector else 0.0)


def evaluate(
    texts: Sequence[str],
    queries: Sequence[str],
    qrels: Sequence[Mapping[int, int]],
    passage_vectors: np.ndarray,
    query_vectors: np.ndarray,
    alphas: Sequence[float],
    pool_size: int,
) -> dict[str, np.ndarray]:
    """Each metric as [queries, alphas], from text to figure (protocol: text, retrieval, scores).

    texts: indexed texts, [passages]. qrels: per query, passage row -> grade. Vectors: unit rows.
    """
    metrics = {"recall_at_10": recall_at, "ndcg_at_10": ndcg_at, "mrr_at_10": mrr_at}
    out = {name: np.zeros((len(queries), len(alphas))) for name in metrics}
    passages = [Counter(passage) for passage in words(texts)]
    for q, query in enumerate(words(queries)):
        bm25 = bm25_of_words(query, passages)
        dense = np.asarray(passage_vectors, np.float64) @ np.asarray(query_vectors[q], np.float64)
        candidates = pool(bm25, dense, pool_size)
        for a, alpha in enumerate(alphas):
            ranked = ranking(candidates, fuse(bm25[candidates], dense[candidates], alpha))
            for name, metric in metrics.items():
                out[name][q, a] = metric(ranked, qrels[q], CUT)
    return out


# Statistics


def cluster_bootstrap(
    values: np.ndarray, clusters: Sequence[int], resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """[resamples] means over the queries of clusters drawn with replacement (protocol: statistics).

    values: [queries], or [seeds, queries], whose seeds are drawn with replacement as well.
    """
    by_seed = np.atleast_2d(values)
    members = [np.flatnonzero(np.asarray(clusters) == name) for name in sorted(set(clusters))]
    means = []
    for _ in range(resamples):
        drawn = rng.integers(len(members), size=len(members))
        queries = np.concatenate([members[cluster] for cluster in drawn])
        seeds = rng.integers(len(by_seed), size=len(by_seed))
        means.append(by_seed[seeds][:, queries].mean())
    return np.array(means)


def _sums(differences: np.ndarray, clusters: Sequence[int]) -> np.ndarray:
    """[clusters] sum of each cluster's differences: a flip turns a whole cluster."""
    return np.array([differences[np.asarray(clusters) == name].sum() for name in sorted(set(clusters))])


def sign_flip(differences: np.ndarray, clusters: Sequence[int], resamples: int, rng: np.random.Generator) -> float:
    """Two-sided p-value of the mean difference, the observed order counted in (protocol: permutation)."""
    sums = _sums(differences, clusters)
    extreme = 0
    for _ in range(resamples):
        signs = rng.choice([-1, 1], size=len(sums))
        extreme += abs(signs @ sums) >= abs(sums.sum()) - 1e-12  # 1e-12: ties survive rounding
    return (1 + extreme) / (1 + resamples)


def exact_sign_flip(differences: np.ndarray, clusters: Sequence[int]) -> float:
    """The p-value that `sign_flip` estimates, over all 2^clusters flips: for a dozen clusters or so."""
    sums = _sums(differences, clusters)
    flips = list(itertools.product([-1, 1], repeat=len(sums)))
    return sum(abs(np.dot(signs, sums)) >= abs(sums.sum()) - 1e-12 for signs in flips) / len(flips)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """p-values adjusted within their family, in the given order (protocol: Holm; Holm, 1979)."""
    adjusted, running = np.zeros(len(p_values)), 0.0
    for place, index in enumerate(np.argsort(p_values, kind="stable")):
        running = max(running, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = running
    return adjusted


def minimum_detectable_effect(standard_error: float, level: float, power: float) -> float:
    """The true difference that a two-sided test at `level` finds with `power` (protocol: statistics)."""
    return (NormalDist().inv_cdf(1 - level / 2) + NormalDist().inv_cdf(power)) * standard_error


# Bandits


def thompson_run(
    rewards: np.ndarray,
    stream: Sequence[int],
    prior_mean: np.ndarray | float,
    prior_strength: float,
    reward_sd: float,
    normals: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gaussian Thompson sampling, noise sd known: actions [steps], final means and pulls [arms].

    rewards: [queries, arms]. stream: the query of each step. prior_strength: what the prior weighs, in
    pulls. normals: [steps, arms] standard normal draws. Ties go to the first arm.
    """
    pulls, total = np.zeros(rewards.shape[1]), np.zeros(rewards.shape[1])
    actions = []
    for step, query in enumerate(stream):
        weight = prior_strength + pulls
        mean = (prior_strength * np.asarray(prior_mean) + total) / weight
        arm = int(np.argmax(mean + reward_sd / np.sqrt(weight) * normals[step]))
        pulls[arm] += 1
        total[arm] += rewards[query, arm]
        actions.append(arm)
    mean = (prior_strength * np.asarray(prior_mean) + total) / (prior_strength + pulls)
    return np.array(actions), mean, pulls


def propensity_by_draws(means: np.ndarray, sds: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """[arms] share of `draws` in which each independent Gaussian arm is the highest."""
    winners = np.argmax(rng.normal(means, sds, size=(draws, len(means))), axis=1)
    return np.bincount(winners, minlength=len(means)) / draws


# Encoder


def minilm_tokens(text: str, tokenizer_json: str) -> list[int]:
    """Token ids of a text as it is, at most 256 (protocol: the file's own truncation and padding go)."""
    settings = json.loads(tokenizer_json) | {"truncation": None, "padding": None}
    ids = Tokenizer.from_str(json.dumps(settings)).encode(text).ids
    return ids if len(ids) <= ENCODED_TOKENS else [*ids[: ENCODED_TOKENS - 1], ids[-1]]


def mean_pool_minilm(tokens: Sequence[int], tensors: Mapping[str, np.ndarray], heads: int = 12) -> np.ndarray:
    """[dimensions] unit vector of one text: the mean over its real tokens; arguments as for `token_vectors`."""
    vector = token_vectors(tokens, tensors, heads).mean(0)
    return vector / np.linalg.norm(vector)


def token_vectors(tokens: Sequence[int], tensors: Mapping[str, np.ndarray], heads: int = 12) -> np.ndarray:
    """[tokens, dimensions] the last layer's vectors of one text: BERT, post-LN, exact GELU.

    tokens: ids with [CLS] and [SEP]. tensors: a BERT's, by name (Devlin et al., 2019), any float type.
    """

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ tensors[f"{name}.weight"].astype(np.float64).T + tensors[f"{name}.bias"]

    def layer_norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        unit = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + LAYER_NORM_EPSILON)
        return unit * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    x = tensors["embeddings.word_embeddings.weight"].astype(np.float64)[list(tokens)]
    x = x + tensors["embeddings.position_embeddings.weight"][: len(tokens)]
    x = layer_norm(x + tensors["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in itertools.takewhile(lambda n: f"encoder.layer.{n}.output.dense.bias" in tensors, itertools.count()):
        name = f"encoder.layer.{layer}"
        q, k, v = (dense(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value"))
        width = x.shape[1] // heads
        attended = np.zeros_like(x)
        for start in range(0, x.shape[1], width):
            head = slice(start, start + width)
            logits = q[:, head] @ k[:, head].T / math.sqrt(width)
            weights = np.exp(logits - logits.max(-1, keepdims=True))
            attended[:, head] = weights / weights.sum(-1, keepdims=True) @ v[:, head]
        x = layer_norm(x + dense(attended, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
        wide = dense(x, f"{name}.intermediate.dense")
        wide = wide * (1 + erf(wide / math.sqrt(2))) / 2
        x = layer_norm(x + dense(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm")
    return x
