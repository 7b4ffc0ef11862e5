#!/usr/bin/env bash
# Writes a gate's Markdown as a comment of a pull request, in place of the earlier one with the same first line.
# Usage: comment.sh OWNER/REPOSITORY NUMBER FILE
set -euo pipefail
repository=$1 number=$2 file=$3
[ -s "$file" ] || { echo "no comment: the gate wrote no $file"; exit 0; }
marker=$(head -n 1 "$file")
export marker
# A pull request from a fork has a token that may only read: no fault of the gate, and the job's summary says the same.
refused() {
  echo "::warning title=tunegate::no comment was written on pull request $number: the token may not, or GitHub could not be reached"
  exit 0
}
earlier=$(gh api --paginate "repos/$repository/issues/$number/comments" \
  --jq '.[] | select(.body | startswith(env.marker)) | .id' | sed -n 1p) || refused
if [ -n "$earlier" ]; then
  gh api --silent --method PATCH "repos/$repository/issues/comments/$earlier" --field "body=@$file" || refused
else
  gh api --silent --method POST "repos/$repository/issues/$number/comments" --field "body=@$file" || refused
fi
