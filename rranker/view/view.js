"use strict";
// Shows a ranking as it came about. All text goes in by textContent: nothing that a candidate says is markup.
(() => {
  const $ = (id) => document.getElementById(id);
  const SHOWN = 400; // characters of a candidate, until more are asked for
  const PACE = 700; // milliseconds a round
  const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]/gu;
  // What is shown: candidates [{index, id, text}] in input order, rounds so far, and the ranking once there is one.
  let state = null, rows = new Map(), following = true, playing = 0;
  const sharesByRound = new WeakMap();

  function show(query, candidates, ranking) {
    state = { query, candidates, rounds: ranking ? ranking.rounds : [], ranking };
    rows = new Map();
    following = true;
    stop();
    $("rows").replaceChildren();
    for (const candidate of candidates) rows.set(candidate.index, makeRow(candidate));
    $("query").replaceChildren();
    if (query !== null) writeText($("query"), [query].flat().join("\n"), false);
    $("view").hidden = false;
    update();
  }

  function makeRow(candidate) {
    const row = document.createElement("tr");
    const [place, text, named, all, relevance] = Array.from({ length: 5 }, () => row.insertCell());
    const body = element("bdi", "text", text);
    body.dir = "auto";
    writeText(body, candidate.text, true);
    if (candidate.id !== null && candidate.id !== undefined) writeText(element("span", "id", text), String(candidate.id), false);
    const canvas = element("canvas", "", all);
    canvas.setAttribute("role", "img");
    const bar = element("div", "bar", relevance), filled = element("div", "", bar), number = element("span", "number", relevance);
    bar.hidden = true;
    named.className = "named";
    return { row, place, named, canvas, bar, filled, number };
  }

  function element(name, kind, parent) {
    const made = document.createElement(name);
    if (kind) made.className = kind;
    parent.append(made);
    return made;
  }

  // Characters that are not seen, or turn others around, are spelled out.
  function writeText(target, text, shorten) {
    const cut = shorten && text.length > SHOWN;
    const part = cut ? text.slice(0, SHOWN) : text;
    let from = 0;
    target.replaceChildren();
    for (const found of part.matchAll(HIDDEN)) {
      target.append(part.slice(from, found.index));
      element("span", "mark", target).textContent = "U+" + found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      from = found.index + found[0].length;
    }
    target.append(part.slice(from) + (cut ? "… " : ""));
    if (!cut) return;
    const more = element("button", "more", target);
    more.type = "button";
    more.textContent = `all ${text.length.toLocaleString("en")} characters`;
    more.addEventListener("click", () => writeText(target, text, false));
  }

  // Who stands where after `count` rounds: those taken, those still in, those that left (the last one first).
  function standing(count) {
    const taken = [], left = [], seen = new Map();
    for (const [number, round] of state.rounds.slice(0, count).entries()) {
      for (const index of round.selected) { taken.push(index); seen.set(index, number); }
      for (const index of round.excluded) { left.unshift(index); seen.set(index, number); }
    }
    const within = state.candidates.map((c) => c.index).filter((index) => !seen.has(index));
    return { order: [...taken, ...within, ...left], seen, taken: new Set(taken) };
  }

  function update() {
    const total = state.rounds.length, slider = $("round");
    slider.max = total;
    if (following) slider.value = total;
    const count = Number(slider.value), final = state.ranking !== null && count === total;
    const { order, seen, taken } = standing(count);
    const items = new Map((state.ranking ? state.ranking.items : []).map((item) => [item.index, item]));
    const round = count ? state.rounds[count - 1] : null;
    const shares = round ? sharesOf(round) : new Map();
    const sorted = final ? state.ranking.items.map((item) => item.index) : order;
    const body = $("rows");
    sorted.forEach((index, position) => {
      const parts = rows.get(index), item = items.get(index), gone = seen.has(index);
      if (body.children[position] !== parts.row) body.insertBefore(parts.row, body.children[position] || null);
      parts.place.textContent = final ? String(item.rank) : gone ? (taken.has(index) ? "taken" : "left") + ` in ${seen.get(index) + 1}` : "in";
      parts.row.classList.toggle("gone", gone && !taken.has(index) && !final);
      parts.row.classList.toggle("leaving", round !== null && round.excluded.includes(index));
      parts.row.classList.toggle("taken", round !== null && round.selected.includes(index));
      const share = shares.get(index);
      parts.named.textContent = share === undefined ? "" : (100 * share).toFixed(share < 0.1 ? 1 : 0) + " %";
      parts.named.style.backgroundColor = share === undefined ? "" : `rgba(var(--heat), ${0.04 + 0.66 * Math.sqrt(share)})`;
      drawRounds(parts.canvas, index, count);
      const known = item && item.relevance !== null && item.relevance !== undefined;
      parts.bar.hidden = !known;
      if (known) parts.filled.style.width = 100 * item.relevance + "%";
      parts.number.textContent = item ? (known ? item.relevance.toFixed(3) + ", " : "") + `score ${item.score.toFixed(3)}` : "";
    });
    $("shown").textContent = total ? `${count} of ${total}` : "none yet";
    $("named").textContent = round && round.selected.length && !round.excluded.length ? "Named best" : "Named worst";
    const thought = round && round.thought;
    $("thoughts").hidden = !state.rounds.some((r) => r.thought);
    writeText($("thought"), thought || "Nothing in this round.", false);
    summarise();
  }

  // How often each candidate of a round would have been named; looked up for every row, so made once a round.
  function sharesOf(round) {
    if (!sharesByRound.has(round)) {
      sharesByRound.set(round, new Map(round.alive.map((index, k) => [index, round.probabilities[k]])));
    }
    return sharesByRound.get(round);
  }

  // A strip of all rounds: how often the model would have named this candidate, dark where it was named for sure.
  function drawRounds(canvas, index, count) {
    const total = Math.max(state.rounds.length, 1), width = (canvas.width = 288), height = (canvas.height = 38);
    const pen = canvas.getContext("2d");
    const heat = getComputedStyle(document.documentElement).getPropertyValue("--heat");
    let last = 0;
    state.rounds.forEach((round, number) => {
      const share = sharesOf(round).get(index);
      if (share === undefined) return;
      last = number + 1;
      pen.fillStyle = `rgba(${heat}, ${0.06 + 0.94 * Math.sqrt(share)})`;
      pen.fillRect((width * number) / total, 0, Math.max(width / total - 1, 1), height);
    });
    pen.fillStyle = `rgb(${heat})`;
    if (count) pen.fillRect((width * (count - 1)) / total, height - 4, Math.max(width / total, 2), 4);
    canvas.setAttribute("aria-label", `in the running for ${last} of ${state.rounds.length} rounds`);
  }

  function summarise() {
    const { ranking, candidates, rounds } = state;
    const list = $("repairs");
    list.replaceChildren();
    if (!ranking) {
      $("summary").textContent = `${candidates.length} candidates, ${rounds.length} rounds so far`;
      return;
    }
    const stats = ranking.stats, number = (n) => n.toLocaleString("en");
    const saved = stats.tokens_naive ? Math.round((100 * stats.tokens_reused) / stats.tokens_naive) : 0;
    $("summary").textContent =
      `${ranking.method}: ${candidates.length} candidates, ${rounds.length} rounds in ${stats.forward_passes} passes, ` +
      `${(1000 * stats.seconds).toFixed(0)} ms. ${number(stats.tokens_encoded)} tokens encoded, ` +
      `${number(stats.tokens_reused)} saved (${saved} % of a naive loop).`;
    for (const repair of ranking.repairs) writeText(element("li", "", list), repair.message, true);
  }

  function stop() {
    clearInterval(playing);
    playing = 0;
    $("play").textContent = "Play";
  }
  $("play").addEventListener("click", () => {
    if (playing) return stop();
    const slider = $("round");
    if (Number(slider.value) >= Number(slider.max)) slider.value = 0;
    following = false;
    update();
    $("play").textContent = "Pause";
    playing = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      update();
      if (Number(slider.value) >= Number(slider.max)) stop();
    }, PACE);
  });
  $("round").addEventListener("input", () => {
    stop();
    following = Number($("round").value) === state.rounds.length;
    update();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => state && update());

  function save(name, kind, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: kind }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  $("json").addEventListener("click", () => {
    if (state.ranking) save("ranking.json", "application/json", JSON.stringify({ query: state.query, ...state.ranking }));
  });
  $("csv").addEventListener("click", () => {
    if (!state.ranking) return;
    // A cell that begins so would be a formula to a spreadsheet.
    const cell = (value) => '"' + String(value ?? "").replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""') + '"';
    const names = ["rank", "index", "id", "score", "relevance", "text"];
    const lines = [names, ...state.ranking.items.map((item) => names.map((name) => item[name]))];
    save("ranking.csv", "text/csv", lines.map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n");
  });

  const inOrder = (ranking) => [...ranking.items].sort((a, b) => a.index - b.index);
  const given = JSON.parse($("data").textContent);
  if (given.ranking) show(given.query ?? null, inOrder(given.ranking), given.ranking);
  if (!$("ask")) return;

  // The server's page: ask, and follow the events.
  let asking = null;
  const EXAMPLE = [
    "how do bees tell each other where flowers are?",
    "Honey is made from nectar, which worker bees thicken by fanning it with their wings.",
    "A forager returns to the hive and dances: the angle of its waggle run gives the direction of the flowers.",
    "The stock exchange opened higher on Tuesday after two days of losses.",
    "Other bees follow the dancer in the dark and learn which way to fly, and how far.",
    "In many flowers, petals carry patterns that guide insects to nectar.",
  ];
  $("ask-example").addEventListener("click", () => {
    $("ask-query").value = EXAMPLE[0];
    $("ask-candidates").value = EXAMPLE.slice(1).join("\n");
    $("ask-template").value = "passage";
  });
  $("ask-stop").addEventListener("click", () => asking && asking.abort());
  $("ask").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit();
  });
  $("ask").addEventListener("submit", async (event) => {
    event.preventDefault();
    const lines = (id) => $(id).value.split("\n").filter((line) => line.trim());
    const template = $("ask-template").value, texts = lines("ask-candidates");
    const query = template === "recommendation" ? lines("ask-query") : $("ask-query").value;
    const body = { query, candidates: texts, template, stream: true };
    if ($("ask-top").value) body.top_k = Number($("ask-top").value);
    asking = new AbortController();
    $("ask-error").textContent = "";
    $("ask-rank").disabled = !($("ask-stop").disabled = false);
    try {
      await follow(body, texts.map((text, index) => ({ index, text, id: null })));
    } catch (error) {
      writeText($("ask-error"), asking.signal.aborted ? "stopped" : error.message, true);
    } finally {
      $("ask-rank").disabled = !($("ask-stop").disabled = true);
    }
  });

  async function follow(body, candidates) {
    const headers = { "Content-Type": "application/json" };
    if ($("ask-key").value) headers.Authorization = "Bearer " + $("ask-key").value;
    const answer = await fetch("v1/rank", { method: "POST", headers, body: JSON.stringify(body), signal: asking.signal });
    if (!answer.ok) throw new Error((await answer.json()).message);
    show(body.query, candidates, null);
    const decoder = new TextDecoder(), reader = answer.body.getReader();
    for (let held = "", part; !(part = await reader.read()).done; ) {
      held += decoder.decode(part.value, { stream: true });
      const events = held.split("\n\n");
      held = events.pop();
      for (const event of events) take(event);
    }
    if (!state.ranking) throw new Error("the server ended before the ranking was there");
  }

  function take(event) {
    const [, kind, data] = event.match(/^event: (\w+)\ndata: (.*)$/s);
    const value = JSON.parse(data);
    if (kind === "error") throw new Error(value.message);
    if (kind === "round") state.rounds.push(value);
    else Object.assign(state, { ranking: value, rounds: value.rounds });
    update();
  }
})();
