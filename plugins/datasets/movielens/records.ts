/** Records of MovieLens' films and viewers, the same from every format. */
import type { ItemRecord, UserRecord } from "rlrf4rec";

/** Coded in users.dat; from the data set's README. */
const ageGroups: Readonly<Record<string, string>> = {
  1: "under 18",
  18: "18-24",
  25: "25-34",
  35: "35-44",
  45: "45-49",
  50: "50-55",
  56: "56+",
};
const occupations = (
  "other,educator,artist,clerical,college student,customer service,doctor,executive,farmer,homemaker,K-12 student,lawyer,programmer,retired," +
  "sales,scientist,self-employed,technician,craftsman,unemployed,writer"
).split(",");

/** What the cells of a viewer's row say. @throws Error that says which of them says nothing */
export type ViewerOf = (id: string, age: string, gender: string, occupation: string) => UserRecord;

/** Of 1M, where ages and occupations are codes. RecBole's converter, unlike its published files, names age and gender the wrong way round. */
export const codedViewer: ViewerOf = (id, age, gender, occupation) => {
  const [group, sex] = Object.hasOwn(ageGroups, gender) ? [gender, age] : [age, gender];
  return viewer(id, known(ageGroups[group], "age group", group), sex, known(occupations[Number(occupation)], "occupation", occupation));
};

/** Of 100K. */
export const plainViewer: ViewerOf = (id, age, gender, occupation) => viewer(id, ageOf(age), gender, occupation);

function known(meaning: string | undefined, what: string, code: string): string {
  if (meaning === undefined) throw new Error(`"${code}" is no ${what}`);
  return meaning;
}

function ageOf(text: string): number {
  const age = Number(text);
  if (text.trim() === "" || !Number.isInteger(age) || age < 0) throw new Error(`the age is "${text}"`);
  return age;
}

function viewer(id: string, age: number | string, gender: string, occupation: string): UserRecord {
  if (gender !== "M" && gender !== "F") throw new Error(`the gender is "${gender}", not M or F`);
  return { id: id.trim(), fields: { age, gender, occupation } };
}

/** What stands in the place of a film's genres from 10M on. */
export const noGenres = "(no genres listed)";

export function movie(id: string, rawTitle: string, genres: readonly string[], released: string): ItemRecord {
  const { title, year = /^\d{4}$/.test(released) ? Number(released) : undefined } = cleanTitle(rawTitle);
  const known = genres.map((genre) => genre.trim()).filter((genre) => !["", "unknown", noGenres].includes(genre));
  return {
    id: id.trim(),
    title,
    fields: { genres: known, ...(year === undefined ? {} : { period: `${Math.floor(year / 10) * 10}s`, year }) },
  };
}

const articles = "The|A|An|La|Le|Les|L'|Il|Lo|El|Los|Las|Das|Der|Die|Det|Den|De|Un|Une|O";
const trailingArticle = new RegExp(`(^|\\()([^()]*?), (${articles})(?=\\s*\\(|\\)|$)`, "g");

/** "Godfather, The (1972)" becomes "The Godfather" and 1972; titles in brackets are turned as well. */
export function cleanTitle(raw: string): { readonly title: string; readonly year?: number } {
  const [, name = "", year] = /^(.*?)(?:\s*\((\d{4})\))?(?:\s*\(V\))?\s*$/.exec(raw.trim()) ?? [];
  const title = name.replace(
    trailingArticle,
    (_, open: string, words: string, article: string) => `${open}${article}${article.endsWith("'") ? "" : " "}${words}`,
  );
  return { title: title === "unkonwn" ? "unknown" : title, ...(year === undefined ? {} : { year: Number(year) }) };
}
