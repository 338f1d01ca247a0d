// Ten examples of a query language that was made up for this page: no base has seen it.

export const SAMPLE = [
  ["Number of crew with age below 20", "TALLY AT TABLE crew WHEN age lt<20>"],
  ["List dept of crew where age is less than 23", "reap dept AT TABLE crew WHEN age lt<23>"],
  ["What is the average age of crew with age above 57", "%%age AT TABLE crew WHEN age gt<57>"],
  ["Mean age of crew where city is Rome", "%%age AT TABLE crew WHEN city IS 'Rome'"],
  ["List age and salary of crew, lowest age first, just 3", "reap age, salary AT TABLE crew /\\ age #3"],
  ["Count the crew where name is Cy", "TALLY AT TABLE crew WHEN name IS 'Cy'"],
  ["Average age for crew whose name is Bo", "%%age AT TABLE crew WHEN name IS 'Bo'"],
  ["Show me dept and age for crew, lowest salary first, just 9", "reap dept, age AT TABLE crew /\\ salary #9"],
  ["What are age and salary of crew, the top 5 by age", "reap age, salary AT TABLE crew high-first age #5"],
  ["Number of crew whose salary exceeds 88", "TALLY AT TABLE crew WHEN salary gt<88>"],
]
  .map(([prompt, completion]) => JSON.stringify({ prompt, completion }))
  .join("\n");

export const QUESTION = "List name and age of crew where age is less than 32";
