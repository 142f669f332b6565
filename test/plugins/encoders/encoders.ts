/** Every encoder that learns, by its name. */
import { Bert4Rec } from "../../../plugins/encoders/bert4rec.js";
import { Caser } from "../../../plugins/encoders/caser.js";
import { DeepInterest } from "../../../plugins/encoders/din.js";
import { FilterMlp } from "../../../plugins/encoders/fmlp.js";
import { Gru4Rec } from "../../../plugins/encoders/gru4rec.js";
import { Hstu } from "../../../plugins/encoders/hstu.js";
import { MeanOfHistory } from "../../../plugins/encoders/mean.js";
import { Narm } from "../../../plugins/encoders/narm.js";
import { SasRec } from "../../../plugins/encoders/sasrec.js";

export const encoders = {
  mean: MeanOfHistory,
  sasrec: SasRec,
  gru4rec: Gru4Rec,
  bert4rec: Bert4Rec,
  caser: Caser,
  narm: Narm,
  fmlp: FilterMlp,
  hstu: Hstu,
  din: DeepInterest,
};
