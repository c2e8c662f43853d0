// What the page knows: sections of items by id, as the stream's changes leave them.

const SECTIONS = ["status", "zones", "nodes", "incidents", "decisions", "operations", "words"];

export class Store {
  version = 0;
  #skew = 0;

  constructor() {
    for (const name of SECTIONS) this[name] = new Map();
  }

  get self() {
    return this.status.get("");
  }

  /** Seconds on the server's clock. */
  now() {
    return Date.now() / 1000 + this.#skew;
  }

  /** Apply a change; with `whole`, it is everything there is. */
  apply(change, whole) {
    for (const name of SECTIONS) {
      if (whole) this[name].clear();
      for (const id of change.gone[name] ?? []) this[name].delete(id);
      for (const [id, item] of Object.entries(change.set[name] ?? {})) this[name].set(id, item);
    }
    this.version = change.version;
    if (change.now_s) this.#skew = change.now_s - Date.now() / 1000;
  }

  active() {
    return [...this.incidents.values()].filter((each) => each.state !== "resolved").sort(newest("opened_s"));
  }

  resolved() {
    return [...this.incidents.values()].filter((each) => each.state === "resolved").sort(newest("resolved_s"));
  }

  /** Decisions, newest first. */
  decided() {
    return [...this.decisions.values()].sort(newest("decided_s"));
  }

  /** What is being done or was, of an incident, newest first. */
  done(incident) {
    return [...this.operations.values()].filter((each) => each.incident_id === incident).sort(newest("begun_s"));
  }

  /** What people said of an incident and is in force. */
  said(incident) {
    return [...this.words.values()].filter((each) => each.incident_id === incident).sort((a, b) => b.at_s - a.at_s);
  }

  /** Decisions on incidents that are not resolved, newest first. */
  pending() {
    const over = (id) => (this.incidents.get(id)?.state ?? "resolved") === "resolved";
    return this.decided().filter((each) => !over(each.action.incident_id));
  }
}

const newest = (key) => (a, b) => b[key] - a[key] || (a.id < b.id ? 1 : -1);
