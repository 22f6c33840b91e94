// How labels, scores, models and times are written for people.

export const words = (label) => label.replaceAll("_", " ");
export const percent = (score) => (score > 0 && score < 0.001 ? "< 0.1%" : `${(score * 100).toFixed(1)}%`);

/** Which model has answered; its first version goes by the name alone. */
export const modelOf = ({ model, version }) => (version && version !== "1" ? `${model}@${version}` : model);

/** How long something took: in milliseconds where seconds would say next to nothing. */
export function duration(seconds) {
  return seconds < 0.95 ? `${Math.max(1, Math.round(seconds * 1000))} ms` : `${seconds.toFixed(1)} s`;
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const clockAndDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** When so many seconds are over: soon by their number, later by the clock, since the text may be read later too. */
export function when(seconds) {
  if (seconds < 100) {
    return seconds === 1 ? "in a second" : `in ${seconds} seconds`;
  }
  const then = new Date(Date.now() + seconds * 1000 + 59_999); // the clock shows full minutes, and none too early
  return then.toDateString() === new Date().toDateString() ? `at ${clock.format(then)}` : `on ${clockAndDay.format(then)}`;
}
