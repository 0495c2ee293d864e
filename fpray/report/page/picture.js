"use strict";
const content = JSON.parse(document.getElementById("content").textContent);
const byId = (id) => document.getElementById(id);
const points = content.points;
const methods = [...new Set(points.map((p) => p.model ? `${p.method}-${p.model}` : p.method))];
const nameOf = (p) => p.model ? `${p.method}-${p.model}` : p.method;

// Okabe and Ito's colours, told apart by colour-blind readers; with marks and dashes also in grey print.
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#7a7a7a", "#e69f00"];
const polygon = (corners, turn) => ({
  draw(context, size) {
    const radius = Math.sqrt(size) * 0.65;
    for (let n = 0; n < corners; n++) {
      const angle = turn + 2 * Math.PI * n / corners;
      context[n ? "lineTo" : "moveTo"](radius * Math.cos(angle), radius * Math.sin(angle));
    }
    context.closePath();
  },
});
const SYMBOLS = [d3.symbolCircle, d3.symbolSquare, d3.symbolTriangle, d3.symbolDiamond, d3.symbolCross, d3.symbolWye,
  polygon(3, Math.PI / 2), polygon(6, 0)];
const DASHES = ["none", "7 3", "2 3", "9 3 2 3", "12 4", "4 4", "14 3 2 3 2 3", "1 6"];
const plain = methods.filter((m) => !m.startsWith("zero_shot"));
const look = (method) => {
  if (method.startsWith("zero_shot")) return { colour: "currentColor", symbol: d3.symbolStar, dash: "none" };
  const n = plain.indexOf(method);
  const turn = n + Math.floor(n / 8);  // a ninth method has the first's colour with another mark and dash
  return { colour: COLOURS[n % 8], symbol: SYMBOLS[turn % 8], dash: DASHES[turn % 8] };
};
const symbol = (method, size) => d3.symbol(look(method).symbol, size)();

const domains = Object.keys(points.length ? points[0].test : {}).filter((split) => split.startsWith("ood/"));
for (const domain of domains) byId("domain").append(new Option(domain.slice(4), domain));
const state = { part: "test", domain: "mean", axes: "linear", alone: null, repeats: false, surfaces: false, baseline: true };
const oodOf = (p, part, domain) => {
  const own = domains.map((d) => p[part][d]);
  if (domain === "mean") return d3.mean(own);
  return domain === "worst" ? d3.min(own) : p[part][domain];
};
const at = (p, part = state.part) => [p[part].id, oodOf(p, part, state.domain)];
const shown = () => points.filter((p) => state.alone === null || nameOf(p) === state.alone);

// Of some points those that no other beats in both.
const nondominated = (some, value) => some.filter((p) => !some.some((q) => {
  const [a, b] = value(p), [c, d] = value(q);
  return c >= a && d >= b && (c > a || d > b);
}));
const frontOf = (method) => nondominated(points.filter((p) => nameOf(p) === method), (p) => at(p, "val"));

// One unit is one pixel, so that type keeps its size on a phone.
const MARGIN = { top: 10, right: 15, bottom: 48, left: 68 };
let WIDTH = 900, HEIGHT = 560, SMALL = [900, 360];
function measure() {
  WIDTH = Math.max(300, document.querySelector("figure").clientWidth);
  HEIGHT = Math.round(Math.min(560, Math.max(320, WIDTH * 0.7)));
  SMALL = [WIDTH, Math.round(Math.min(360, Math.max(240, WIDTH * 0.5)))];
}
const logit = (v) => Math.log(v / (100 - v));
const inside = (v) => Math.min(99.9, Math.max(0.1, v));
function scale(values, range) {
  const [low, high] = d3.extent(values), room = Math.max(1, (high - low) * 0.05);
  if (state.axes === "logit") {
    const ends = [inside(low - room), inside(high + room)], own = d3.scaleLinear(ends.map(logit), range);
    const used = (v) => own(logit(inside(v)));
    const step = ends[1] - ends[0] > 50 ? 10 : ends[1] - ends[0] > 15 ? 5 : 2;
    used.ticks = () => [1, 2, 5, ...d3.range(10, 95, step), 95, 98, 99].filter((v) => v >= ends[0] && v <= ends[1]);
    return used;
  }
  return d3.scaleLinear([Math.max(0, low - room), Math.min(100, high + room)], range);
}
const short = (v) => `${+v.toPrecision(4)}`;
function axes(svg, x, y, names, [width, height] = [WIDTH, HEIGHT], formatX = short, formatY = short) {
  const bottom = height - MARGIN.bottom, right = width - MARGIN.right;
  const grid = svg.append("g").attr("class", "grid").attr("aria-hidden", "true");
  for (const v of x.ticks(Math.max(3, width / 110))) {
    grid.append("line").attr("x1", x(v)).attr("x2", x(v)).attr("y1", MARGIN.top).attr("y2", bottom);
    grid.append("text").attr("x", x(v)).attr("y", bottom + 18).attr("text-anchor", "middle").text(formatX(v));
  }
  for (const v of y.ticks(7)) {
    grid.append("line").attr("x1", MARGIN.left).attr("x2", right).attr("y1", y(v)).attr("y2", y(v));
    grid.append("text").attr("x", MARGIN.left - 8).attr("y", y(v) + 4).attr("text-anchor", "end").text(formatY(v));
  }
  svg.append("text").attr("x", (MARGIN.left + right) / 2).attr("y", height - 8).attr("text-anchor", "middle").text(names[0]);
  svg.append("text").attr("transform", `translate(14,${(MARGIN.top + bottom) / 2}) rotate(-90)`).attr("text-anchor", "middle").text(names[1]);
}

// The steps of what a front attains: everything to the left of and below one of its points.
function steps(some, value, x, y) {
  return stairs(nondominated(some, value).map(value), x, y);
}
function stairs(unordered, x, y) {
  const corners = [...unordered].sort((a, b) => b[0] - a[0]);
  if (!corners.length) return "";
  let path = `M${x(corners[0][0])},${HEIGHT - MARGIN.bottom}`;
  for (const [id, ood] of corners) path += `H${x(id)}V${y(ood)}`;
  return `${path}H${MARGIN.left}`;
}

function words(p) {
  const part = state.part === "test" ? "test" : "validation", half = state.part === "test" ? p.half : {};
  const with_ = (v, key) => half[key] === undefined ? v.toFixed(1) : `${v.toFixed(1)} ± ${half[key].toFixed(1)}`;
  const each = domains.map((d) => `${d.slice(4)} ${with_(p[state.part][d], d)}`).join(", ");
  const lines = [`${p.name}: ${part} ID ${with_(p[state.part].id, "id")} %, OOD ${with_(oodOf(p, state.part, "mean"), "ood")} %`, each];
  if (p.text) lines.push(p.text);
  if (p.rules.length) lines.push(`picked by ${p.rules.join(", ")}`);
  return lines.join("\n");
}

function draw() {
  const svg = d3.select("#chart").attr("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.selectAll("*").remove();
  const there = shown(), all = points.map((p) => at(p));
  const x = scale(all.map((v) => v[0]), [MARGIN.left, WIDTH - MARGIN.right]);
  const y = scale(all.map((v) => v[1]), [HEIGHT - MARGIN.bottom, MARGIN.top]);
  const of = byId("domain").selectedOptions[0].text, part = state.part === "test" ? "test" : "validation";
  svg.append("clipPath").attr("id", "inside").append("rect").attr("x", MARGIN.left).attr("y", MARGIN.top)
    .attr("width", WIDTH - MARGIN.left - MARGIN.right).attr("height", HEIGHT - MARGIN.top - MARGIN.bottom);
  axes(svg, x, y, [`ID ${part} accuracy (%)`, `OOD ${part} accuracy, ${of} (%)`]);
  for (const [source, own] of d3.group(there.filter((p) => p.source), (p) => p.source)) {
    const ends = points.filter((p) => p.name === source);
    const line = [...own, ...ends].sort((a, b) => (a.params.alpha ?? 1) - (b.params.alpha ?? 1)).map((p) => at(p));
    svg.append("path").attr("class", "joined").attr("clip-path", "url(#inside)").attr("stroke", look(nameOf(own[0])).colour)
      .attr("d", d3.line((v) => x(v[0]), (v) => y(v[1]))(line));
  }
  const onFront = new Set();
  for (const method of new Set(there.map(nameOf))) {
    const front = frontOf(method);
    front.forEach((p) => onFront.add(p));
    if (method.startsWith("zero_shot")) continue;
    svg.append("path").attr("class", "front").attr("stroke", look(method).colour).attr("stroke-dasharray", look(method).dash)
      .attr("d", steps(front, (p) => at(p), x, y));
  }
  const asReported = state.part === "test" && state.domain === "mean";
  if (asReported && state.baseline && content.baseline) {
    svg.append("path").attr("class", "baseline").attr("clip-path", "url(#inside)")
      .attr("d", d3.line((v) => x(v[0]), (v) => y(v[1]))(content.baseline.places));
  }
  if (asReported && state.surfaces) {
    for (const own of content.surfaces.filter((s) => state.alone === null || s.method === state.alone)) {
      svg.append("path").attr("class", own.share < 1 ? "surface half" : "surface").attr("clip-path", "url(#inside)")
        .attr("stroke", look(own.method).colour).attr("d", stairs(own.corners, x, y));
    }
  }
  if (asReported) {
    for (const p of there.filter((q) => onFront.has(q) && q.half.id !== undefined)) {
      const [id, ood] = at(p), bar = (x1, y1, x2, y2) => svg.append("line").attr("class", "bar").attr("clip-path", "url(#inside)").attr("stroke", look(nameOf(p)).colour)
        .attr("x1", x(x1)).attr("y1", y(y1)).attr("x2", x(x2)).attr("y2", y(y2));
      bar(id - p.half.id, ood, id + p.half.id, ood);
      bar(id, ood - p.half.ood, id, ood + p.half.ood);
    }
  }
  if (state.repeats && asReported) {
    for (const p of there) for (const [id, ood] of p.of_trials) {
      svg.append("path").attr("d", symbol(nameOf(p), 12)).attr("fill", look(nameOf(p)).colour).attr("opacity", 0.5)
        .attr("transform", `translate(${x(id)},${y(ood)})`);
    }
  }
  const ordered = [...there].sort((a, b) => at(a)[0] - at(b)[0]);
  const marks = svg.append("g").selectAll("path").data(ordered).join("path")
    .attr("class", (p) => onFront.has(p) ? "mark" : "mark faint").attr("role", "img")
    .attr("aria-label", (p) => words(p).replaceAll("\n", "; "))
    .attr("tabindex", (p, n) => n === 0 ? 0 : -1).attr("fill", (p) => look(nameOf(p)).colour)
    .attr("d", (p) => symbol(nameOf(p), p.method === "zero_shot" ? 220 : onFront.has(p) ? 90 : 50))
    .attr("transform", (p) => `translate(${at(p).map((v, n) => [x, y][n](v)).join(",")})`);
  const tell = (event, p) => { byId("details").textContent = words(p); };
  marks.on("mouseenter", tell).on("focus", tell).on("click", function (event, p) { this.focus(); tell(event, p); });
  marks.on("keydown", function (event) {
    const nodes = marks.nodes(), step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = nodes[(nodes.indexOf(this) + step + nodes.length) % nodes.length];
    nodes.forEach((node) => node.setAttribute("tabindex", node === next ? 0 : -1));
    next.focus();
  });
  svg.append("g").selectAll("circle").data(ordered.filter((p) => p.rules.length)).join("circle").attr("class", "ring").attr("r", 9)
    .attr("cx", (p) => x(at(p)[0])).attr("cy", (p) => y(at(p)[1]));
  if (state.alone !== null) {
    const picked = ordered.filter((p) => p.rules.length), left = (p) => x(at(p)[0]) > WIDTH * 0.7;
    svg.append("g").attr("aria-hidden", "true").selectAll("text").data(picked).join("text").text((p) => p.rules.join(", "))
      .attr("x", (p) => x(at(p)[0]) + (left(p) ? -13 : 13)).attr("y", (p) => y(at(p)[1]) - 8)
      .attr("text-anchor", (p) => left(p) ? "end" : "start");
  }
}

function legend() {
  for (const method of methods) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    const svg = d3.select(button).append("svg").attr("viewBox", "0 0 34 16").attr("aria-hidden", "true");
    if (!method.startsWith("zero_shot")) {
      svg.append("line").attr("x2", 34).attr("y1", 8).attr("y2", 8).attr("stroke", look(method).colour).attr("stroke-width", 2)
        .attr("stroke-dasharray", look(method).dash);
    }
    svg.append("path").attr("d", symbol(method, 70)).attr("transform", "translate(17,8)").attr("fill", look(method).colour);
    button.append(method);
    button.addEventListener("click", () => {
      state.alone = state.alone === method ? null : method;
      for (const other of byId("legend").children) {
        other.setAttribute("aria-pressed", String(state.alone !== null && other === button));
      }
      draw();
    });
    byId("legend").append(button);
  }
}
