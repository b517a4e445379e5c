// What pages gain by a script: live updates, times as "3 min ago", keys, the switch of colours. Without it all else works.
"use strict";
(() => {
  const main = document.getElementById("main");

  // ---------------------------------------------------------------- times

  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

  function inWords(seconds) {
    for (const [name, length] of units) {
      if (seconds >= length) return `${Math.floor(seconds / length)} ${name}`;
    }
    return "0 s";
  }

  function tellTimes() {
    const now = Date.now();
    for (const each of document.querySelectorAll("time[data-ago]")) {
      const seconds = (now - Date.parse(each.dateTime)) / 1000;
      const words = inWords(Math.abs(seconds));
      each.textContent = seconds < 0 ? `in ${words}` : seconds < 1 ? "now" : `${words} ago`;
    }
    for (const each of document.querySelectorAll("time[data-since]")) {
      each.textContent = inWords(Math.max(0, (now - Date.parse(each.dateTime)) / 1000));
    }
  }

  // ---------------------------------------------------------------- live updates

  const live = document.querySelector("[data-live-switch]");
  const fastest = Number(main.dataset.live || 0) * 1000;
  const slowest = Math.max(fastest, 15000);
  let pause = fastest;
  let tag = null;
  let timer = 0;
  let asking = null;

  function isPaused() {
    return live.getAttribute("aria-pressed") === "true";
  }

  function say(state, words) {
    live.dataset.state = state;
    live.querySelector("span").textContent = words;
  }

  const keeping = {
    morphStyle: "innerHTML",
    ignoreActiveValue: true,
    callbacks: {
      beforeAttributeUpdated: (name, node) => !(name === "open" && node.localName === "details"),
      beforeNodeMorphed: (old) => !(old.dataset && "keep" in old.dataset),
      beforeNodeRemoved: (old) => !(old.id === "flash"),
    },
  };

  function replace(text) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const fresh = page.getElementById("main");
    if (!fresh) return;
    Idiomorph.morph(main, fresh.innerHTML, keeping);
    document.title = page.title;
    tellTimes();
  }

  // A selection would be lost, and what is being pressed would move away.
  function isBusy() {
    const selection = getSelection();
    return !selection.isCollapsed && main.contains(selection.anchorNode);
  }

  async function ask() {
    if (document.hidden || isPaused() || isBusy()) return wait();
    asking = new AbortController();
    try {
      const headers = tag ? { "If-None-Match": tag } : {};
      const answer = await fetch(location.href, { headers, cache: "no-store", signal: asking.signal });
      if (answer.status === 304) {
        pause = Math.min(slowest, pause * 1.4);
      } else if (answer.ok || answer.status === 404) {
        const is_first = tag === null;
        tag = answer.headers.get("ETag");
        replace(await answer.text());
        pause = is_first ? pause : fastest;
      } else {
        throw new Error(answer.status);
      }
      say("on", "live");
    } catch (problem) {
      if (problem.name !== "AbortError") say("lost", "no answer");
      pause = slowest;
    }
    wait();
  }

  function wait() {
    clearTimeout(timer);
    timer = setTimeout(ask, pause);
  }

  function askSoon() {
    pause = fastest;
    clearTimeout(timer);
    ask();
  }

  if (fastest && live) {
    live.hidden = false;
    say("on", "live");
    live.addEventListener("click", () => {
      live.setAttribute("aria-pressed", String(!isPaused()));
      say(isPaused() ? "off" : "on", isPaused() ? "paused" : "live");
      if (!isPaused()) askSoon();
    });
    document.addEventListener("visibilitychange", () => document.hidden || askSoon());
    wait();
  }
  tellTimes();
  setInterval(tellTimes, 1000);

  // ---------------------------------------------------------------- keys

  function isTyping(target) {
    return target.isContentEditable || /^(input|textarea|select)$/.test(target.localName);
  }

  function step(by) {
    const rows = [...main.querySelectorAll("[data-row]")].filter((row) => row.offsetParent !== null);
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const row = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by))];
    const target = row.matches("a, summary, [tabindex]") ? row : row.querySelector("a, summary");
    target.focus();
    target.scrollIntoView({ block: "nearest" });
  }

  const keys = {
    "/": () => document.getElementById("find").select(),
    j: () => step(1),
    k: () => step(-1),
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isTyping(event.target)) event.target.blur();
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const act = keys[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });

  // An event that an address names is opened.
  function openTarget() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const details = target && (target.localName === "details" ? target : target.querySelector("details"));
    if (details) details.open = true;
  }
  addEventListener("hashchange", openTarget);
  openTarget();

  // ---------------------------------------------------------------- colours

  const theme = document.querySelector("[data-theme-switch]");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    document.cookie = `perdure_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=strict`;
  });
})();
