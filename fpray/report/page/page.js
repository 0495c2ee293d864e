"use strict";
function picksTable() {
  const table = d3.select("#picks"), heads = ["method", "picked by", "trial", "ID", "OOD", ...domains.map((d) => d.slice(4)), "worst", "ECE ID", "ECE OOD",
    "ID - full", "OOD - full", "ID - zero-shot", "OOD - zero-shot"];
  table.append("thead").append("tr").selectAll("th").data(heads).join("th").attr("scope", "col").text((h) => h);
  const body = table.append("tbody"), known = new Map(points.map((p) => [p.name, p]));
  const together = d3.groups(content.comparisons, (c) => c.name);
  for (const [name, same] of together) {
    const p = known.get(name), row = body.append("tr");
    const value = (v, half) => half === undefined ? v.toFixed(1) : `${v.toFixed(1)} ± ${half.toFixed(1)}`;
    row.append("th").attr("scope", "row").text(same[0].method);
    row.append("td").attr("class", "word").text(same.map((c) => c.rule).join(", "));
    row.append("td").attr("class", "word").text(name);
    row.append("td").text(value(p.test.id, p.half.id));
    row.append("td").text(value(oodOf(p, "test", "mean"), p.half.ood));
    for (const d of domains) row.append("td").text(value(p.test[d], p.half[d]));
    row.append("td").text(value(oodOf(p, "test", "worst"), p.half.worst));
    for (const part of ["id", "ood"]) row.append("td").text(p.calibration[part] ? value(...p.calibration[part]) : "-");
    for (const base of ["full", "zero_shot"]) for (const part of ["id", "ood"]) {
      const own = same.map((c) => c.differences[`${part} - ${base}`]).find((d) => d);
      const cell = row.append("td").text(own ? `${own.value > 0 ? "+" : ""}${own.value.toFixed(1)} ± ${own.half.toFixed(1)}` : "-");
      if (own && (own.verdict === "seen" || own.verdict === "not seen")) cell.attr("class", "seen");
    }
  }
}

function small(id, names, values, logX, series) {
  const svg = d3.select(id).attr("viewBox", `0 0 ${SMALL[0]} ${SMALL[1]}`);
  svg.selectAll("*").remove();
  if (!values.length) return;
  const ends = d3.extent(values, (v) => v[0]);
  if (ends[0] === ends[1]) ends[1] = ends[0] + 1;
  const room = (d3.max(values, (v) => v[1]) - d3.min(values, (v) => v[1])) * 0.08 || 1;
  const x = (logX ? d3.scaleLog() : d3.scaleLinear()).domain(ends).range([MARGIN.left + 10, SMALL[0] - MARGIN.right - 10]);
  const y = d3.scaleLinear([d3.min(values, (v) => v[1]) - room, d3.max(values, (v) => v[1]) + room], [SMALL[1] - MARGIN.bottom, MARGIN.top]);
  const ticks = x.ticks.bind(x);
  x.ticks = (n) => logX ? ticks(6).filter((v) => /^[125]e/.test(v.toExponential())) : ticks(n);
  axes(svg, x, y, names, SMALL, logX ? (v) => `${+v.toPrecision(3)}` : x.tickFormat(Math.max(3, SMALL[0] / 110)), y.tickFormat(7));
  series(svg, x, y);
}

function knobs() {
  const chosen = byId("knob-method").value, key = byId("knob").value, own = points.filter((p) => nameOf(p) === chosen && p.params[key] !== undefined);
  const words_ = own.some((p) => typeof p.params[key] !== "number"), names = [...new Set(own.map((p) => p.params[key]))].sort();
  const place = (p) => words_ ? names.indexOf(p.params[key]) : p.params[key];
  const values = own.map(place), logX = !words_ && d3.min(values) > 0 && d3.max(values) / d3.min(values) > 5;
  const both = own.flatMap((p) => [[place(p), p.val.id], [place(p), oodOf(p, "val", "mean")]]);
  small("#knob-chart", [words_ ? `${key}: ${names.map((n, i) => `${i} ${n}`).join(", ")}` : key, "validation accuracy (%)"], both, logX, (svg, x, y) => {
    const mark = (p, v, fill) => svg.append("path").attr("d", symbol(chosen, 80)).attr("fill", fill).attr("stroke", look(chosen).colour)
      .attr("stroke-width", 2).attr("transform", `translate(${x(place(p))},${y(v)})`);
    for (const p of own) {
      mark(p, p.val.id, look(chosen).colour);
      mark(p, oodOf(p, "val", "mean"), "none");
    }
  });
}
function knobChoices() {
  const own = points.filter((p) => nameOf(p) === byId("knob-method").value);
  const keys = [...new Set(own.flatMap((p) => Object.keys(p.params)))].filter((k) => new Set(own.map((p) => p.params[k])).size > 1);
  byId("knob").replaceChildren(...keys.map((k) => new Option(k, k)));
}

function budget() {
  if (!byId("budget-chart")) return;
  const hours = byId("budget-axis").value === "hours";
  const lines = content.budgets.map((b) => ({ method: b.method, values: b.hypervolumes.map((v, n) => [(n + 1) * (hours ? b.hours : 1), v]) }));
  small("#budget-chart", [hours ? byId("budget-axis").selectedOptions[0].text : "trainings", "hypervolume"], lines.flatMap((l) => l.values), false, (svg, x, y) => {
    for (const { method, values } of lines) {
      svg.append("path").attr("class", "front").attr("stroke", look(method).colour).attr("stroke-dasharray", look(method).dash)
        .attr("d", d3.line((v) => x(v[0]), (v) => y(v[1]))(values));
      for (const v of values) svg.append("path").attr("d", symbol(method, 50)).attr("fill", look(method).colour).attr("transform", `translate(${x(v[0])},${y(v[1])})`);
    }
  });
}

function moved() {
  const key = byId("moved").value, own = points.filter((p) => p[key] !== null);
  const name = key === "cka" ? "CKA of OOD features with the pre-trained model's" : "distance of the weights, as a share of their norm";
  small("#moved-chart", [name, "OOD test accuracy (%)"], own.map((p) => [p[key], oodOf(p, "test", "mean")]), false, (svg, x, y) => {
    for (const p of own) {
      svg.append("path").attr("d", symbol(nameOf(p), 70)).attr("fill", look(nameOf(p)).colour)
        .attr("transform", `translate(${x(p[key])},${y(oodOf(p, "test", "mean"))})`).append("title").text(p.name);
    }
  });
}

for (const key of ["part", "domain", "axes"]) byId(key).addEventListener("change", (event) => { state[key] = event.target.value; draw(); });
for (const key of ["repeats", "surfaces", "baseline"]) byId(key)?.addEventListener("change", (event) => { state[key] = event.target.checked; draw(); });
byId("repeats-label").hidden = !points.some((p) => p.of_trials.length > 1);
byId("surfaces-label").hidden = !content.surfaces.length;
const searched = methods.filter((m) => points.some((p) => nameOf(p) === m && Object.keys(p.params).length));
byId("knob-method").append(...searched.map((m) => new Option(m, m)));
byId("knob-method").addEventListener("change", () => { knobChoices(); knobs(); });
byId("knob").addEventListener("change", knobs);
if (byId("budget-axis")) byId("budget-axis").addEventListener("change", budget);
byId("moved").addEventListener("change", moved);
function pictures() {
  measure();
  draw();
  knobs();
  budget();
  moved();
}
legend();
picksTable();
knobChoices();
pictures();
addEventListener("resize", pictures);
if (content.so_far) setTimeout(() => location.reload(), 60000);
