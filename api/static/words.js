// How labels and scores are written for people.

export const words = (label) => label.replaceAll("_", " ");
export const percent = (score) => (score > 0 && score < 0.001 ? "< 0.1%" : `${(score * 100).toFixed(1)}%`);
