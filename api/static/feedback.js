// The feedback page's form: it searches the labels, and is sent in the background, with the key if one is needed.

import { listenForReport } from "./report.js";

listenForReport(document.querySelector(".report-form"));
