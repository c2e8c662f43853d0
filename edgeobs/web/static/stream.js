// The live connection: reconnects on its own, and says when what is shown is old.

const PATIENCE_MS = 25_000; // more than two of the longest heartbeats that the server may be set to
const LONGEST_MS = 8_000;

/**
 * Keep a stream open. `onChange(change, whole)` gets every change; `onLink(state)` gets "live" or "lost".
 */
export function follow(url, onChange, onLink) {
  let source = null;
  let watchdog = 0;
  let tries = 0;

  const alive = () => {
    tries = 0;
    clearTimeout(watchdog);
    watchdog = setTimeout(again, PATIENCE_MS);
    onLink("live");
  };
  const again = () => {
    source?.close();
    clearTimeout(watchdog);
    onLink("lost");
    const wait = Math.min(LONGEST_MS, 500 * 2 ** tries++) * (0.5 + Math.random() / 2);
    watchdog = setTimeout(open, wait);
  };
  const open = () => {
    source = new EventSource(url);
    source.addEventListener("all", (event) => { onChange(JSON.parse(event.data), true); alive(); });
    source.addEventListener("change", (event) => { onChange(JSON.parse(event.data), false); alive(); });
    source.addEventListener("beat", alive);
    source.addEventListener("error", again);
    clearTimeout(watchdog);
    watchdog = setTimeout(again, PATIENCE_MS);
  };
  open();
  // A laptop that wakes, or a tab that returns from the back/forward cache, need not wait for the timer.
  addEventListener("pageshow", (event) => event.persisted && again());
  addEventListener("online", again);
  addEventListener("pagehide", () => source?.close());
}
