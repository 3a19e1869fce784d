// The statistics of tabbench/stats in plain JavaScript, on tables of scores[dataset][model]; null is no score.
// tests/test_report_pool.py compares every number with Python's.
const numbers = JSON.parse(document.getElementById("numbers").textContent);
const { TOLERANCE, BELOW, ALPHA, PRIOR, FINITE, UNSEEN, CENTRE, POINTS, EXACT_UP_TO } = numbers.constants; // Python's own
const sum = (values) => values.reduce((total, value) => total + value, 0);
const means = (rows) => rows[0].map((_, j) => sum(rows.map((row) => row[j])) / rows.length);

function fillWorst(scores, better) {
  // gaps just below the worst score of the dataset
  return scores.map((row) => {
    const known = row.filter((value) => value !== null),
      worst = better ? Math.min(...known) : Math.max(...known);
    const fill = worst + Math.max(Math.abs(worst), 1) * (better ? -BELOW : BELOW);
    return row.map((value) => value ?? fill);
  });
}
function common(ran, names) {
  // rows that the columns have in common, and these columns, as stats/failures.py
  const counts = names.map((_, j) => sum(ran.map((row) => Number(row[j])))),
    columns = [];
  const order = names.map((_, j) => j).sort((a, b) => counts[b] - counts[a] || (names[a] < names[b] ? -1 : 1));
  let rows = ran.map((_, i) => i);
  for (const j of order) {
    const left = rows.filter((i) => ran[i][j]);
    if (left.length || !ran.length) {
      rows = left;
      columns.push(j);
    }
  }
  return { rows, columns: columns.sort((a, b) => a - b) };
}
function averageRanks(values, tolerance = TOLERANCE) {
  // 1 = smallest; steps within the tolerance are ties
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b]),
    ranks = [];
  for (let start = 0, end; start < order.length; start = end) {
    end = start + 1;
    while (end < order.length && values[order[end]] - values[order[end - 1]] <= tolerance) end += 1;
    for (let i = start; i < end; i += 1) ranks[order[i]] = (start + 1 + end) / 2;
  }
  return ranks;
}
function normalized(filled, better) {
  return filled.map((row) => {
    const low = Math.min(...row),
      high = Math.max(...row);
    return row.map((value) => (high - low <= TOLERANCE ? 1 : (better ? value - low : high - value) / (high - low)));
  });
}
function outcomes(filled, better) {
  // wins[i][j]: datasets on which i beats j; ties[i][j]
  const k = filled[0].length,
    wins = Array.from({ length: k }, () => Array(k).fill(0)),
    ties = wins.map((row) => [...row]);
  for (const row of filled)
    for (let i = 0; i < k; i += 1)
      for (let j = 0; j < k; j += 1) {
        const gap = better ? row[i] - row[j] : row[j] - row[i];
        if (gap > TOLERANCE) wins[i][j] += 1;
        else if (i !== j && Math.abs(gap) <= TOLERANCE) ties[i][j] += 1;
      }
  return { wins, ties };
}

function logGamma(x) {
  // Lanczos
  const c = [
    76.18009172947146, -86.50532032941678, 24.01409824083091, -1.231739572450155, 0.1208650973866179e-2, -0.5395239384953e-5,
  ];
  const t = x + 5.5 - (x + 0.5) * Math.log(x + 5.5),
    series = c.reduce((total, value, i) => total + value / (x + 1 + i), 1.000000000190015);
  return -t + Math.log((2.5066282746310007 * series) / x);
}
function betaFraction(a, b, x) {
  // continued fraction of the incomplete beta function, by Lentz's method
  const tiny = 1e-300;
  let c = 1,
    d = 1 / (1 - ((a + b) * x) / (a + 1) || tiny),
    h = d;
  for (let m = 1; m < 500; m += 1) {
    for (const n of [
      (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)),
      (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1)),
    ]) {
      d = 1 / (1 + n * d || tiny);
      c = 1 + n / c || tiny;
      h *= d * c;
    }
    if (Math.abs(d * c - 1) < 1e-14) break;
  }
  return h;
}
function beta(a, b, x) {
  // regularised incomplete beta function
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x));
  return x < (a + 1) / (a + b + 2) ? (front * betaFraction(a, b, x)) / a : 1 - (front * betaFraction(b, a, 1 - x)) / b;
}
const fTail = (f, d1, d2) => (f === Infinity ? 0 : beta(d2 / 2, d1 / 2, d2 / (d2 + d1 * f)));
function normalTail(z) {
  // P(Z > z), z ≥ 0
  const t = 1 / (1 + z / Math.SQRT2 / 2),
    x = z / Math.SQRT2;
  const c = [
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277,
  ];
  return 0.5 * t * Math.exp(-x * x + c.reduceRight((total, value) => total * t + value, 0));
}

function friedman(ranks) {
  // tie-corrected, with Iman and Davenport's F
  const n = ranks.length,
    k = ranks[0].length,
    middle = (k + 1) / 2;
  const between = n * sum(means(ranks).map((mean) => (mean - middle) ** 2));
  const within = sum(ranks.map((row) => sum(row.map((rank) => (rank - middle) ** 2)))) / (n * (k - 1));
  const chi2 = within > 0 ? between / within : 0,
    rest = n * (k - 1) - chi2,
    f = rest > 1e-9 ? ((n - 1) * chi2) / rest : Infinity;
  const alike = Math.exp((1 - n) * logGamma(k + 1)); // the chance that all datasets rank the models alike
  return { chi2, f, d1: k - 1, d2: (k - 1) * (n - 1), p: Math.max(alike, fTail(f, k - 1, (k - 1) * (n - 1))) };
}
function signedRank(differences) {
  // Wilcoxon's test, zeros by Pratt, exact for few pairs; two-sided p
  const d = differences.map((value) => (Math.abs(value) <= TOLERANCE ? 0 : value)),
    ranks = averageRanks(d.map(Math.abs));
  const kept = ranks.map((rank, i) => (d[i] === 0 ? 0 : rank));
  const smaller = Math.min(sum(kept.filter((_, i) => d[i] > 0)), sum(kept.filter((_, i) => d[i] < 0)));
  if (d.length > EXACT_UP_TO) {
    const squares = sum(kept.map((rank) => rank * rank));
    return squares === 0 ? 1 : Math.min(1, 2 * normalTail((sum(kept) / 2 - smaller) / Math.sqrt(squares / 4)));
  }
  let chance = [1]; // of every sum of the ranks so far, in halves
  for (const rank of kept) {
    const step = Math.round(2 * rank),
      next = Array(chance.length + step).fill(0);
    if (step === 0) continue;
    chance.forEach((p, i) => {
      next[i] += p / 2;
      next[i + step] += p / 2;
    });
    chance = next;
  }
  return Math.min(1, 2 * sum(chance.slice(0, Math.round(2 * smaller) + 1)));
}
function holm(p) {
  const order = p.map((_, i) => i).sort((a, b) => p[a] - p[b]),
    adjusted = [];
  let highest = 0;
  order.forEach((i, place) => {
    highest = Math.max(highest, p[i] * (p.length - place));
    adjusted[i] = Math.min(1, highest);
  });
  return adjusted;
}
function pairTests(filled, better) {
  // [i, j, p adjusted by Holm, mean lead of i]
  const k = filled[0].length,
    pairs = [];
  for (let i = 0; i < k; i += 1)
    for (let j = i + 1; j < k; j += 1) {
      const gaps = filled.map((row) => (better ? row[i] - row[j] : row[j] - row[i]));
      pairs.push([i, j, signedRank(gaps), sum(gaps) / gaps.length]);
    }
  const adjusted = holm(pairs.map((pair) => pair[2]));
  return pairs.map(([i, j, , lead], place) => [i, j, adjusted[place], lead]);
}
function cliques(meanRanks, cd) {
  // maximal runs, in the order of the ranks, of models within the critical difference
  const order = meanRanks.map((_, i) => i).sort((a, b) => meanRanks[a] - meanRanks[b]),
    runs = [];
  let before = 0;
  for (let start = 0; start < order.length; start += 1) {
    let end = start + 1;
    while (end < order.length && meanRanks[order[end]] - meanRanks[order[start]] < cd) end += 1;
    if (end - start > 1 && end > before) runs.push(order.slice(start, end));
    before = Math.max(before, end);
  }
  return runs;
}

function solve(matrix, right, k) {
  // Gaussian elimination of a small positive definite system (row by row), in place
  for (let i = 0; i < k; i += 1)
    for (let r = i + 1; r < k; r += 1) {
      const factor = matrix[r * k + i] / matrix[i * k + i];
      for (let c = i; c < k; c += 1) matrix[r * k + c] -= factor * matrix[i * k + c];
      right[r] -= factor * right[i];
    }
  for (let i = k - 1; i >= 0; i -= 1) {
    for (let c = i + 1; c < k; c += 1) right[i] -= matrix[i * k + c] * right[c];
    right[i] /= matrix[i * k + i];
  }
}
function bradleyTerry(wins, k, prior, start) {
  // log strengths of mean 0 by Newton's method from wins[i * k + j]; every pair has tied `prior` times more
  const strengths = Float64Array.from(start ?? Array(k).fill(0)),
    slope = new Float64Array(k),
    hessian = new Float64Array(k * k);
  for (let round = 0; round < 100; round += 1) {
    slope.fill(0);
    hessian.fill(1);
    for (let i = 0; i < k; i += 1)
      for (let j = 0; j < k; j += 1)
        if (i !== j) {
          const won = wins[i * k + j] + prior / 2,
            meetings = won + wins[j * k + i] + prior / 2;
          const expected = meetings / (1 + Math.exp(strengths[j] - strengths[i])),
            curvature = (expected * (meetings - expected)) / meetings;
          slope[i] += won - expected;
          hessian[i * k + i] += curvature;
          hessian[i * k + j] -= curvature;
        }
    solve(hessian, slope, k);
    let largest = 0;
    for (const step of slope) largest = Math.max(largest, Math.abs(step));
    for (let i = 0; i < k; i += 1) strengths[i] += slope[i] * Math.min(1, 2 / Math.max(largest, 1e-300));
    if (largest < 1e-10) break;
  }
  const mean = sum([...strengths]) / k;
  return strengths.map((value) => value - mean);
}
function hash(x) {
  // 32 bits, well mixed
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}
function* posterior(n, k, draws, seed = 0) {
  // weights of n datasets, weights and ranks of unseen ones: the very draws of Python's
  const mask = hash(seed + 1),
    m = n + UNSEEN + UNSEEN * k;
  for (let draw = 0; draw < draws; draw += 1) {
    const at = (i) => hash((draw * m + i) ^ mask),
      uniform = (i) => (at(i) + 0.5) / 4294967296;
    const mass = Array.from({ length: n + 1 }, (_, i) => -Math.log(uniform(i))),
      scale = (n + 1) / sum(mass),
      unseen = [];
    let left = mass[n] * scale;
    for (let t = 0; t < UNSEEN; t += 1) {
      const share = t === UNSEEN - 1 ? 1 : uniform(n + 1 + t),
        keys = Array.from({ length: k }, (_, i) => at(n + UNSEEN + t * k + i)),
        ranks = [];
      keys
        .map((_, i) => i)
        .sort((a, b) => keys[a] - keys[b])
        .forEach((i, place) => {
          ranks[i] = place + 1;
        });
      unseen.push({ weight: left * share, ranks });
      left *= 1 - share;
    }
    yield { seen: mass.slice(0, n).map((value) => value * scale), unseen };
  }
}
function* shuffles(n, draws, seed = 0) {
  // orders of n things, each in the array of the one before: the very draws of Python's
  const mask = hash(seed + 1),
    keys = new Float64Array(n),
    order = new Int32Array(n);
  for (let draw = 0; draw < draws; draw += 1) {
    for (let i = 0; i < n; i += 1) keys[i] = hash((draw * n + i) ^ mask) * n + i; // sorted by hash, then by place
    keys.sort();
    for (let i = 0; i < n; i += 1) order[i] = keys[i] % n;
    yield order;
  }
}
function standardized(values) {
  const mean = sum(values) / values.length,
    spread = Math.sqrt(sum(values.map((value) => (value - mean) ** 2)) / values.length);
  return Float64Array.from(values, (value) => (value - mean) / spread);
}
function metafeatureRanks(values) {
  // standardised, gaps at the median rank; null for more gaps than a fifth, or where nothing varies
  const known = values.filter((value) => value !== null),
    ranks = averageRanks(known, 0),
    sorted = [...ranks].sort((a, b) => a - b);
  if (new Set(known).size < 2 || values.length - known.length > 0.2 * values.length) return null;
  const middle = quantile(sorted, 0.5);
  let next = 0;
  return standardized(
    averageRanks(
      values.map((value) => (value === null ? middle : ranks[next++])),
      0,
    ),
  );
}
function products(rows, columns, m, out) {
  // of every row of m numbers with four columns, (m, 4): one pass over the rows
  for (let row = 0, at = 0; row < out.length; row += 4) {
    let a = 0,
      b = 0,
      c = 0,
      d = 0;
    for (let i = 0; i < 4 * m; i += 4, at += 1) {
      const value = rows[at];
      a += value * columns[i];
      b += value * columns[i + 1];
      c += value * columns[i + 2];
      d += value * columns[i + 3];
    }
    out[row] = a / m;
    out[row + 1] = b / m;
    out[row + 2] = c / m;
    out[row + 3] = d / m;
  }
}
function correlate(columns, gap, draws) {
  // Spearman's with the gap of every column (null: unknown), as metafeatures/analysis.py
  const m = gap.length,
    kept = columns.flatMap((column, f) => {
      const z = metafeatureRanks(column);
      return z ? [{ f, z }] : [];
    });
  const ranks = standardized(averageRanks(gap, 0)),
    rows = new Float64Array(kept.length * m),
    four = new Float64Array(4 * m),
    by = new Float64Array(4 * kept.length);
  kept.forEach(({ z }, i) => {
    rows.set(z, i * m);
  });
  const found = kept.map(({ z }) => sum([...z].map((value, i) => value * ranks[i])) / m),
    sizes = found.map((r) => Math.abs(r) - 1e-12);
  const alone = new Int32Array(kept.length),
    largest = [];
  let place = 0;
  for (const order of shuffles(m, draws)) {
    for (let i = 0; i < m; i += 1) four[4 * i + place] = ranks[order[i]];
    place = (place + 1) % 4;
    if (place) continue; // draws come by four
    products(rows, four, m, by);
    const tops = [0, 0, 0, 0];
    for (let at = 0; at < by.length; at += 1) {
      const size = Math.abs(by[at]);
      if (size >= sizes[at >> 2]) alone[at >> 2] += 1;
      if (size > tops[at & 3]) tops[at & 3] = size;
    }
    largest.push(...tops);
  }
  return kept
    .map(({ f }, i) => {
      const r = found[i],
        swapped = 1 - 12 / (m * (m * m - 1)), // one swap of neighbours: a perfect order of a few is no certainty
        centre = Math.atanh(Math.max(-swapped, Math.min(swapped, r))),
        reach = 1.959964 * Math.sqrt((1 + (r * r) / 2) / (m - 3));
      const among = largest.reduce((count, size) => count + (size >= sizes[i]), 0);
      return {
        f,
        r,
        low: Math.min(r, Math.tanh(centre - reach)),
        high: Math.max(r, Math.tanh(centre + reach)),
        p: (1 + alone[i]) / (1 + draws),
        adjusted: (1 + among) / (1 + draws),
      };
    })
    .sort((a, b) => Math.abs(b.r) - Math.abs(a.r));
}
function quantile(sorted, share) {
  const place = share * (sorted.length - 1),
    low = Math.floor(place);
  return sorted[low] + (place - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}
function intervals(draws, n, estimate) {
  // 95% percentile interval of each column, the estimate within; of one dataset or one model none
  return draws[0].map((_, j) => {
    if (n < 2 || estimate.length < 2) return [null, null];
    const column = draws.map((row) => row[j]).sort((a, b) => a - b);
    return [Math.min(estimate[j], quantile(column, ALPHA / 2)), Math.max(estimate[j], quantile(column, 1 - ALPHA / 2))];
  });
}
function ratings(filled, better, ranks, draws) {
  // Elo, its interval and that of the mean ranks, whole datasets being resampled
  const k = filled[0].length,
    n = filled.length;
  const games = filled.map((row) =>
    Float64Array.from({ length: k * k }, (_, at) => {
      // 1, ½ or 0: model at / k against at % k
      const gap = (better ? 1 : -1) * (row[Math.floor(at / k)] - row[at % k]);
      return gap > TOLERANCE ? 1 : Math.abs(gap) <= TOLERANCE ? 0.5 : 0;
    }),
  );
  const total = (tables, weights, length) => {
    const all = new Float64Array(length);
    for (let d = 0; d < n; d += 1) {
      const weight = weights[d],
        table = tables[d];
      if (weight > 0) for (let at = 0; at < length; at += 1) all[at] += weight * table[at];
    }
    return all;
  };
  const elo = (strengths) => [...strengths].map((value) => CENTRE + POINTS * value);
  const all = Array(n).fill(1),
    strengths = bradleyTerry(total(games, all, k * k), k, PRIOR),
    drawnRatings = [],
    drawnRanks = [];
  for (const { seen, unseen } of posterior(n, k, draws)) {
    const won = total(games, seen, k * k),
      placed = total(ranks, seen, k);
    for (const { weight, ranks: order } of unseen)
      for (let i = 0; i < k; i += 1) {
        placed[i] += weight * order[i];
        for (let j = 0; j < k; j += 1) if (order[i] < order[j]) won[i * k + j] += weight;
      }
    drawnRatings.push(elo(bradleyTerry(won, k, FINITE, strengths)));
    drawnRanks.push([...placed].map((value) => value / (n + 1)));
  }
  const rating = elo(strengths),
    meanRanks = [...total(ranks, all, k)].map((value) => value / n);
  return { rating, ratingInterval: intervals(drawnRatings, n, rating), rankInterval: intervals(drawnRanks, n, meanRanks) };
}

function compare(scores, better, q, draws) {
  // everything about datasets × models; q: Nemenyi's constant for that many models
  scores = scores.filter((row) => row.some((value) => value !== null));
  if (!scores.length || !scores[0].length) return null;
  const filled = fillWorst(scores, better),
    n = filled.length,
    k = filled[0].length;
  const ranks = filled.map((row) => averageRanks(better ? row.map((value) => -value) : row)),
    meanRanks = means(ranks);
  const { wins, ties } = outcomes(filled, better),
    rates = wins.map((row, i) => row.map((win, j) => (i === j ? 0.5 : (win + ties[i][j] / 2) / n)));
  const base = {
    n,
    k,
    filled,
    meanRanks,
    wins,
    ties,
    rates,
    normalized: means(normalized(filled, better)),
    scored: scores[0].map((_, j) => scores.filter((row) => row[j] !== null).length),
  };
  const rated = { ...base, ...ratings(filled, better, ranks, draws) };
  if (n < 2 || k < 2) return rated;
  const cd = q * Math.sqrt((k * (k + 1)) / (6 * n));
  return { ...rated, cd, groups: cliques(meanRanks, cd), omnibus: friedman(ranks), tests: pairTests(filled, better) };
}
