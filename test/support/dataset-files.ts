/** Small folders in the forms of published data sets, for the contract suite. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { jsonLines, metadata2014, metadata2018, metadata2023, pythonLines, reviews2014, reviews2018, reviews2023 } from "./amazon.js";
import { folderUntilExit } from "./folder.js";

function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = folderUntilExit();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

/** Every product with a record, as the contract wants items. */
const rest = (key: string, from: number) =>
  [..."ABCDEFGHIJKL"].slice(from).map((letter) => ({ [key]: `B00000000${letter}`, title: `Product ${letter}` }));

export const amazonFolders = {
  "2014": () =>
    folderOf({ "reviews_Books_5.json": jsonLines(reviews2014), "meta_Books.json": pythonLines([...metadata2014, ...rest("asin", 2)]) }),
  "2018": () => folderOf({ "Books_5.json": jsonLines(reviews2018), "meta_Books.json": jsonLines([...metadata2018, ...rest("asin", 2)]) }),
  "2023": () =>
    folderOf({ "Books.jsonl": jsonLines(reviews2023), "meta_Books.jsonl": jsonLines([...metadata2023, ...rest("parent_asin", 2)]) }),
} as const;

export function bookCrossingFolder(): string {
  const images = '"s";"m";"l"';
  return folderOf({
    "BX-Book-Ratings.csv": `"User-ID";"ISBN";"Book-Rating"\n"1";"10";"9"\n"1";"11";"4"\n"2";"10";"0"\n`,
    "BX-Books.csv": `"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"Image-URL-S";"Image-URL-M";"Image-URL-L"\n"10";"A";"B";"1999";"C";${images}\n"11";"D";"E";"0";"F";${images}\n`,
    "BX-Users.csv": '"User-ID";"Location";"Age"\n"1";"tyler, texas, usa";NULL\n"2";"x";"18"\n',
  });
}

export function tableFolder(): string {
  return folderOf({
    "interactions.csv": "user_id,item_id,rating,timestamp\nu,i,5,1\nu,j,2,2\n",
    "items.csv": 'item_id,title\ni,"One, two"\nj,Three\n',
    "users.csv": "user_id,age\nu,30\n",
  });
}
