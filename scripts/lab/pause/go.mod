module kttun.test/lab/pause

go 1.24
