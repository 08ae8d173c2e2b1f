import { PYTHON } from './programs.ts';

/** A program that uses a trust store, and what it prints once it trusts the gateway's CA. */
export interface StoreClient {
  /** As `sekisho ca install-help` names what it reads. */
  readonly ecosystem: string;
  readonly name: string;
  /** Lines for a shell, which has `URL`, `STS_URL` and `PROXY_PORT`. */
  readonly script: string;
  readonly prints: RegExp;
}

const OK = /^ok\s*$/;

/** Those of Debian that the tests have anyway. */
export const LIGHT: readonly StoreClient[] = [
  {
    ecosystem: 'node',
    name: "Node's fetch",
    script: `NODE_USE_ENV_PROXY=1 node --input-type=module -e 'console.log(await (await fetch(process.env.URL)).text())'`,
    prints: OK,
  },
  {
    ecosystem: 'python',
    name: 'requests, and the standard library',
    script: `${PYTHON} -c 'import os, requests; print(requests.get(os.environ["URL"]).text)'
${PYTHON} -c 'import os, urllib.request; print(urllib.request.urlopen(os.environ["URL"]).read().decode())'`,
    prints: /^ok\nok\s*$/,
  },
  {
    ecosystem: 'aws',
    name: 'botocore',
    script: `${PYTHON} -c '
import os, botocore.session
client = botocore.session.get_session().create_client("sts", endpoint_url=os.environ["STS_URL"])
print(client.get_caller_identity()["Arn"])'`,
    prints: /^arn:aws:iam::123456789012:user\/admin\s*$/,
  },
  { ecosystem: 'curl', name: 'curl', script: 'curl -sS "$URL"', prints: OK },
  {
    ecosystem: 'curl',
    name: 'git',
    script: 'git ls-remote "$URL.git"',
    prints: /^a{40}\trefs\/heads\/main\n$/m,
  },
  {
    ecosystem: 'debian',
    name: 'curl, wget and Python by the store of the system',
    script: `curl -sS "$URL"; echo; wget -qO - "$URL"; echo
${PYTHON} -c 'import os, urllib.request; print(urllib.request.urlopen(os.environ["URL"]).read().decode())'`,
    prints: /ok\nok\nok\s*$/,
  },
];

/** A GET by a proxy, in Java: it reads its proxy from no environment. */
const JAVA = `
import java.net.*;
import java.net.http.*;

public class Fetch {
  public static void main(String[] args) throws Exception {
    var proxy = ProxySelector.of(new InetSocketAddress("127.0.0.1", Integer.parseInt(System.getenv("PROXY_PORT"))));
    var client = HttpClient.newBuilder().proxy(proxy).build();
    var request = HttpRequest.newBuilder(URI.create(System.getenv("URL"))).build();
    System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
  }
}
`;

const GO = `
package main

import ("fmt"; "io"; "net/http"; "os")

func main() {
  response, err := http.Get(os.Getenv("URL"))
  if err != nil { fmt.Println(err); os.Exit(1) }
  body, _ := io.ReadAll(response.Body)
  fmt.Println(string(body))
}
`;

/** Those that `scripts/trust-stores.ts` alone runs: a JDK and Go take hundreds of megabytes. */
export const HEAVY: readonly StoreClient[] = [
  {
    ecosystem: 'aws',
    name: 'AWS CLI',
    script:
      '/usr/bin/aws sts get-caller-identity --endpoint-url "$STS_URL" --query Arn --output text',
    prints: /^arn:aws:iam::123456789012:user\/admin\s*$/,
  },
  {
    ecosystem: 'java',
    name: "Java's HttpClient",
    script: `cat > Fetch.java <<'END'${JAVA}END\n"$JAVA_HOME/bin/java" Fetch.java`,
    prints: /^ok\s*$/m,
  },
  {
    ecosystem: 'openssl',
    name: 'Go',
    script: `cat > fetch.go <<'END'${GO}END\nHOME=$PWD go run fetch.go`,
    prints: OK,
  },
  {
    ecosystem: 'openssl',
    name: 'Ruby',
    script: `ruby -ropen-uri -e 'puts URI.open(ENV["URL"]).read'`,
    prints: OK,
  },
  {
    ecosystem: 'openssl',
    name: 'PHP',
    script: `php -n -r '$proxy = ["proxy" => "tcp://127.0.0.1:" . getenv("PROXY_PORT")];
echo file_get_contents(getenv("URL"), false, stream_context_create(["http" => $proxy]));'`,
    prints: OK,
  },
  {
    ecosystem: 'openssl',
    name: 'openssl s_client',
    script: `printf 'GET /repos/acme HTTP/1.1\\r\\nHost: %s\\r\\nConnection: close\\r\\n\\r\\n' "$AUTHORITY" |
openssl s_client -quiet -ign_eof -verify_return_error -proxy "127.0.0.1:$PROXY_PORT" -connect "$AUTHORITY" 2>/dev/null | tail -1`,
    prints: OK,
  },
];
