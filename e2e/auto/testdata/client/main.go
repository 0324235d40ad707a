// Command client asks the server once. It knows nothing of tracing.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	log.Println("calling")
	resp, err := http.Get(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("received %s", body)
}
