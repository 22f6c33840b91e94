// The feedback page's form stays a plain form; a script only lets it search the labels.

import { chooseLabel } from "./report.js";

chooseLabel(document.querySelector(".report-form"));
