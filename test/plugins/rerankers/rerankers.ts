/** Every reranker by its name. */
import { Dlcm } from "../../../plugins/rerankers/dlcm.js";
import { GroupwiseScoring } from "../../../plugins/rerankers/gsf.js";
import { Mir } from "../../../plugins/rerankers/mir.js";
import { Pointwise } from "../../../plugins/rerankers/pointwise.js";
import { Prm } from "../../../plugins/rerankers/prm.js";
import { Seq2Slate } from "../../../plugins/rerankers/seq2slate.js";
import { SetRank } from "../../../plugins/rerankers/setrank.js";

export const rerankers = {
  pointwise: Pointwise,
  dlcm: Dlcm,
  prm: Prm,
  setrank: SetRank,
  mir: Mir,
  seq2slate: Seq2Slate,
  gsf: GroupwiseScoring,
};
