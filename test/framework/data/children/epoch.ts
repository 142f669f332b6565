/** Prints the seconds since 1970 that the date of its argument is to a database. */
import { Database, numbersOf, quoted } from "../../../../framework/data/database.js";

const database = await Database.open();
const { seconds } = await numbersOf(database.connection, `SELECT epoch(${quoted(process.argv[2] as string)}::TIMESTAMPTZ) AS seconds`);
console.log(seconds);
database.dispose();
